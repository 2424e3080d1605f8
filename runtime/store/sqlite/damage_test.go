package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/sqlite"
)

// world is what was put into a small store.
type world struct {
	facts   map[run.ID][]run.Fact
	entries map[run.ID]store.Entry
	blobs   map[string]string
	docs    map[string]string
}

// build fills a store with something of everything.
func build(t *testing.T, s *sqlite.Store) world {
	t.Helper()
	ctx := t.Context()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := world{facts: map[run.ID][]run.Fact{}, entries: map[run.ID]store.Entry{}, blobs: map[string]string{}, docs: map[string]string{}}
	for _, text := range []string{"a plan", strings.Repeat("long ", 2000)} {
		hash, err := s.PutBlob(ctx, []byte(text))
		fail(err)
		w.blobs[hash] = text
	}
	plan, err := s.PutBlob(ctx, []byte("a plan"))
	fail(err)
	for i := range 4 {
		id := run.ID(fmt.Sprint("run-", i))
		first := run.Fact{Seq: 1, At: at, Body: &run.Started{Plan: plan, Inputs: map[string]any{"text": strings.Repeat("x", 600*i)}, Options: run.Options{Pool: "p"}}}
		l, err := s.Create(ctx, id, "me", 0, first)
		fail(err)
		for head := run.Seq(1); head < 9; head += 2 {
			fail(s.Append(ctx, l, head, timer(head+1, "a"), timer(head+2, "b")))
		}
		_, err = s.Tell(ctx, id, run.Fact{At: at, Body: &run.PauseAsked{By: "ada"}}, "key")
		fail(err)
		if i == 3 {
			fail(s.Append(ctx, l, 10, run.Fact{Seq: 11, At: at, Body: &run.Finished{Status: run.Succeeded}}))
		} else if i > 0 {
			fail(s.Release(ctx, l))
		}
		e := store.Entry{Run: id, Flow: "f", Status: run.Running, Started: at.Add(time.Duration(i)), Pool: "p", Seq: 9}
		fail(s.PutEntries(ctx, e))
		w.entries[id] = e
		if w.facts[id], err = s.Load(ctx, id, 0); err != nil {
			t.Fatal(err)
		}
		_, err = s.Take(ctx, "limit", string(id), 9, time.Hour)
		fail(err)
		_, err = s.Pass(ctx, "rate", store.Rate{Count: 9, Per: time.Hour})
		fail(err)
		name := fmt.Sprint("doc ", i)
		fail(s.PutDoc(ctx, "kind", name, 0, []byte(strings.Repeat(name, 300))))
		w.docs[name] = strings.Repeat(name, 300)
	}
	return w
}

// built gives the file of a small store.
func built(t *testing.T) ([]byte, world) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "built.db")
	s := open(t, path)
	w := build(t, s)
	if got := problems(t, s); got != nil {
		t.Fatalf("the store has problems before anything happened: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, path), w
}

// judge reads everything. What is given out must be right; missed says that something was refused or left out.
func (w world) judge(t *testing.T, s *sqlite.Store) (missed bool) {
	t.Helper()
	ctx := t.Context()
	for id, want := range w.facts {
		got, err := s.Load(ctx, id, 0)
		if err != nil {
			missed = true
			if errors.Is(err, store.ErrCorrupt) && !strings.Contains(err.Error(), string(id)) {
				t.Errorf("the error does not name run %s: %v", id, err)
			}
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("run %s was given out wrong: %d facts, want %d", id, len(got), len(want))
		}
		if got, err := s.Load(ctx, id, 7); err == nil && !reflect.DeepEqual(got, want[7:]) {
			t.Errorf("run %s after 7 was given out wrong", id)
		}
	}
	for id, want := range w.entries {
		got, err := s.GetEntry(ctx, id)
		if missed = missed || err != nil; err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("the entry of %s was given out wrong: %+v", id, got)
		}
	}
	list, _, err := s.List(ctx, store.Filter{Flow: "f"})
	missed = missed || err != nil || len(list) != len(w.entries)
	for _, e := range list {
		if !reflect.DeepEqual(e, w.entries[e.Run]) {
			t.Errorf("the list has %+v", e)
		}
	}
	for hash, want := range w.blobs {
		got, err := s.GetBlob(ctx, hash)
		if missed = missed || err != nil; err == nil && string(got) != want {
			t.Errorf("blob %s was given out wrong", hash)
		}
	}
	for name, want := range w.docs {
		got, version, err := s.GetDoc(ctx, "kind", name)
		if missed = missed || err != nil; err == nil && (string(got) != want || version != 1) {
			t.Errorf("%s was given out wrong", name)
		}
	}
	for id := range w.facts { // a writer meets the damage too: it is refused, or right
		l, err := s.Claim(ctx, id, "me", 0)
		if err == nil {
			err = s.Append(ctx, l, run.Seq(len(w.facts[id])), timer(run.Seq(len(w.facts[id]))+1, "new"))
		}
		if err != nil {
			continue
		}
		if got, err := s.Load(ctx, id, 0); err == nil && (len(got) != len(w.facts[id])+1 || !reflect.DeepEqual(got[:len(got)-1], w.facts[id])) {
			t.Errorf("run %s was given out wrong after an append", id)
		}
	}
	return missed
}

// A flipped bit anywhere is harmless, or somebody hears of it. Nothing wrong is ever given out.
func TestFlippedBits(t *testing.T) {
	each := 4
	if os.Getenv("SLOP_LONG") != "" {
		each = 300
	}
	whole, w := built(t)
	dice := rand.New(rand.NewPCG(1, 2))
	dir, heard, flips := t.TempDir(), 0, 0
	for page := 0; page < len(whole); page += 4096 {
		for i := range each {
			offset := page + dice.IntN(4096)
			switch i % 4 {
			case 0:
				offset = page + dice.IntN(16) // the page's header and first pointers
			case 1:
				offset = page + 4095 - dice.IntN(300) // its first cells: they grow down from the end
			}
			flips++
			file := filepath.Join(dir, fmt.Sprint(flips, ".db"))
			bad := append([]byte(nil), whole...)
			bad[offset] ^= 1 << dice.IntN(8)
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: file})
			if err != nil {
				heard++
				continue
			}
			found := problems(t, s)
			if missed := w.judge(t, s); missed && len(found) == 0 {
				t.Errorf("flip at %d of page %d: something is missing, and the check finds nothing", offset%4096, offset/4096)
			}
			if len(found) > 0 {
				heard++
			}
			_ = s.Close() // it may have stopped
			if t.Failed() {
				t.Fatalf("flip at %d of page %d, found %v", offset%4096, offset/4096, found)
			}
		}
	}
	t.Logf("%d flips in %d pages, %d heard of, the others harmless", flips, len(whole)/4096, heard)
	if heard == 0 {
		t.Error("no flip was ever heard of")
	}
}

func TestADamagedRowNamesItsRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	w := build(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rawSQL(t, path, "UPDATE facts SET data = replace(data, 'timer', 'tamer') WHERE n = (SELECT max(f.n) - 3 FROM facts f JOIN runs r ON r.n = f.run WHERE r.id = 'run-2')")
	s = closing(t, open(t, path))
	for id, want := range w.facts {
		got, err := s.Load(t.Context(), id, 0)
		if id != "run-2" {
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("run %s: %v", id, err)
			}
			continue
		}
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "run-2") {
			t.Errorf("run %s: %v", id, err)
		}
		var last error
		for _, err := range s.Tail(t.Context(), id, 0) {
			last = err
		}
		if !errors.Is(last, store.ErrCorrupt) {
			t.Errorf("its tail ends with %v", last)
		}
	}
}

// What can be had again is written over when it is damaged, and stops nobody.
func TestDamageToWhatIsDerivedStopsNobody(t *testing.T) {
	whole, w := built(t)
	for _, statement := range []string{
		"UPDATE hints SET due = 'x'", "UPDATE hints SET crc = 0", "UPDATE hints SET priority = 'x'", "UPDATE slots SET until = 'x'", "UPDATE slots SET crc = 1", "UPDATE rates SET arrival = 'x'", "UPDATE rates SET crc = 1",
		"UPDATE entries SET crc = 'x'", "UPDATE entries SET data = 'x'",
	} {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		rawSQL(t, path, statement)
		s := open(t, path)
		ctx := t.Context()
		if got := problems(t, s); len(got) == 0 {
			t.Errorf("%s: the check finds nothing", statement)
		}
		fail := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %s: %v", statement, what, err)
			}
		}
		if strings.HasPrefix(statement, "UPDATE hints") {
			var lost []run.ID
			for id, err := range store.Named(s.Strays(ctx, "p")) {
				fail("strays", err)
				lost = append(lost, id)
			}
			if len(lost) != 2 { // of four, one is held and one finished
				t.Errorf("%s: strays are %v", statement, lost)
			}
		}
		for range 5 {
			_, _, _, err := s.Dequeue(ctx, "p")
			fail("dequeue", err)
		}
		_, err := s.Tell(ctx, "run-1", run.Fact{At: at, Body: &run.ResumeAsked{}}, "another key")
		fail("tell", err)
		h, ok, _, err := s.Dequeue(ctx, "p")
		if fail("dequeue", err); !ok || h.Run != "run-1" {
			t.Errorf("%s: then the hint is %+v", statement, h)
		}
		_, err = s.Take(ctx, "limit", "run-0", 9, time.Hour)
		fail("take", err)
		_, err = s.Pass(ctx, "rate", store.Rate{Count: 9, Per: time.Hour})
		fail("pass", err)
		for _, e := range w.entries {
			fail("put entry", s.PutEntries(ctx, e))
		}
		if list, _, err := s.List(ctx, store.Filter{}); err != nil || len(list) != len(w.entries) {
			t.Errorf("%s: the list has %d entries, %v", statement, len(list), err)
		}
		fail("close", s.Close())
	}
}

// A damaged run is refused to writers too, by its name, and they go on with the others.
func TestWritersMeetDamage(t *testing.T) {
	whole, _ := built(t)
	for _, statement := range []string{"UPDATE runs SET token = 'x' WHERE id = 'run-2'", "UPDATE runs SET head = 3 WHERE id = 'run-2'", "UPDATE tells SET seq = 'x' WHERE run = 3", "UPDATE tells SET crc = 1 WHERE run = 3"} {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		rawSQL(t, path, statement)
		s := open(t, path)
		for _, id := range []run.ID{"run-1", "run-2", "run-0"} {
			_, err := s.Tell(t.Context(), id, run.Fact{At: at, Body: &run.ResumeAsked{}}, "key")
			if bad := id == "run-2"; bad != errors.Is(err, store.ErrCorrupt) || bad && !strings.Contains(err.Error(), "run-2") {
				t.Errorf("%s: tell %s: %v", statement, id, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRunsYieldsEveryRun(t *testing.T) {
	whole, w := built(t)
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	rawSQL(t, path, "DELETE FROM entries", "UPDATE runs SET token = 9 WHERE id = 'run-1'")
	s := closing(t, open(t, path))
	n := 0
	for id, err := range s.Runs(t.Context()) {
		n++
		if bad := id == "run-1"; bad != errors.Is(err, store.ErrCorrupt) || !bad && err != nil {
			t.Errorf("run %s: %v", id, err)
		}
	}
	if n != len(w.facts) {
		t.Errorf("it yields %d runs of %d", n, len(w.facts))
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	whole, w := built(t)
	for _, c := range []struct{ name, statement, want string }{
		{"a gap", "DELETE FROM facts WHERE run = 2 AND last = 5", "run run-1: after fact 3 comes fact 6"},
		{"a lost end", "DELETE FROM facts WHERE run = 2 AND last > 8", "run run-1: its facts end at 7 and should at 10"},
		{"changed facts", "UPDATE facts SET crc = crc + 1 WHERE run = 1 AND last = 5", "run run-0: the facts up to 5 do not fit their checksum"},
		{"a changed run", "UPDATE runs SET token = 9 WHERE n = 2", "run run-1: its row does not fit"},
		{"a missing plan", "DELETE FROM blobs WHERE size = 6", "run run-2: fact 1 names blob "},
		{"changed bytes", "UPDATE bytes SET data = 'a plot' WHERE n = 1", "its bytes are not those of its hash"},
		{"a lost run", "DELETE FROM runs WHERE n = 4", "belongs to no run"},
		{"a changed entry", "UPDATE entries SET status = 'failed' WHERE run = 1", "run run-0: its entry in the index is filed under something else"},
		{"a changed document", "UPDATE docs SET version = 2 WHERE name = 'doc 1'", "kind doc 1 does not fit its checksum"},
		{"a changed hint", "UPDATE hints SET due = 99 WHERE id = 'run-0'", "run run-0: its hint"},
		{"a changed slot", "UPDATE slots SET until = 0", `a slot of limit "limit"`},
		{"a changed rate", "UPDATE rates SET arrival = 0", `rate "rate"`},
		{"a changed tell", "UPDATE tells SET seq = 3 WHERE run = 3", "run run-2: row 3 of what it was told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			rawSQL(t, path, c.statement)
			s := closing(t, open(t, path))
			if found := strings.Join(problems(t, s), "\n"); !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
			w.judge(t, s)
		})
	}
}

func TestBackupUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s := closing(t, open(t, filepath.Join(dir, "store.db")))
	w := build(t, s)
	ctx := t.Context()
	stop, ended := make(chan struct{}), make(chan run.Seq)
	l, err := s.Create(ctx, "busy", "me", 0, started("p"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		head := run.Seq(1)
		for ; ; head += 2 {
			select {
			case <-stop:
				ended <- head
				return
			default:
			}
			if err := s.Append(ctx, l, head, timer(head+1, "a"), timer(head+2, "b")); err != nil {
				t.Error(err)
				ended <- head
				return
			}
		}
	}()
	for range s.Tail(ctx, "busy", 20) {
		break // it is under way
	}
	before, err := s.Load(ctx, "busy", 0)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "copy.db")
	if err := s.Backup(ctx, copied); err != nil {
		t.Fatal(err)
	}
	for range s.Tail(ctx, "busy", before[len(before)-1].Seq+20) {
		break // and goes on
	}
	close(stop)
	head := <-ended
	if err := s.Backup(ctx, copied); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second copy under the same name: %v", err)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "copy.db?*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	c := closing(t, open(t, copied))
	if got := problems(t, c); got != nil {
		t.Errorf("the copy: %v", got)
	}
	facts, err := c.Load(ctx, "busy", 0)
	if err != nil || len(facts) < len(before) || run.Seq(len(facts)) > head || len(facts)%2 != 1 {
		t.Errorf("the copy has %d facts, between %d and %d, %v", len(facts), len(before), head, err)
	}
	if w.judge(t, c) {
		t.Error("the copy misses something")
	}
}
