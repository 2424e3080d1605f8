package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/sqlite"
	"github.com/slopstudios/slop/runtime/store/storetest"
)

// TestMain is also the process that tests kill.
func TestMain(m *testing.M) {
	if path := os.Getenv("SLOP_TEST_STORE"); path != "" {
		if err := appendForever(path, os.Getenv("SLOP_TEST_NAME")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closing(t testing.TB, s *sqlite.Store) *sqlite.Store {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// empty gives an empty store's file, so that not every test waits for the disk to make one.
func empty(t *testing.T) func(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	data := read(t, path)
	return func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestStore(t *testing.T) {
	path := empty(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, path(t)) })
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func started(pool string) run.Fact {
	return run.Fact{Seq: 1, At: at, Body: &run.Started{Options: run.Options{Pool: pool}}}
}

func timer(seq run.Seq, name string) run.Fact {
	return run.Fact{Seq: seq, At: at, Body: &run.TimerFired{Timer: name}}
}

func problems(t *testing.T, s *sqlite.Store) []string {
	t.Helper()
	var out []string
	for p, err := range s.Check(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.String())
	}
	return out
}

func TestFilesAreTheirOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b ?#%20é", "store.db")
	s := open(t, path)
	if _, err := s.Create(t.Context(), "r", "me", 0, started("p")); err != nil {
		t.Fatal(err)
	}
	mode := func(path string, want fs.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	mode(filepath.Dir(path), 0o700)
	mode(filepath.Dir(filepath.Dir(path)), 0o700)
	for _, beside := range []string{"", "-wal", "-shm"} {
		mode(path+beside, 0o600)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	closing(t, open(t, path))
	mode(path, 0o600)
}

// raw runs SQL on a file as another program would.
func rawSQL(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	path := empty(t)
	for _, c := range []struct{ name, statement, want string }{
		{"newer", "PRAGMA user_version = 2", "written by a newer release of slop (format 2, this one knows 1)"},
		{"another's", "PRAGMA application_id = 7", "a database of something else"},
		{"changed", "DROP INDEX facts_run", store.ErrCorrupt.Error()},
	} {
		file := path(t)
		rawSQL(t, file, c.statement)
		before := read(t, file)
		_, err := sqlite.Open(t.Context(), sqlite.Config{Path: file})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", c.name, err)
		}
		if string(before) != string(read(t, file)) {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
	foreign := filepath.Join(t.TempDir(), "photos.db")
	rawSQL(t, foreign, "CREATE TABLE photos (n INTEGER PRIMARY KEY)")
	before := read(t, foreign)
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: foreign}); err == nil || string(before) != string(read(t, foreign)) {
		t.Errorf("a foreign database: %v", err)
	}
	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("a letter to ada\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: text}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a text: %v", err)
	}
}

func TestAfterClose(t *testing.T) {
	s := open(t, empty(t)(t))
	l, err := s.Create(t.Context(), "r", "me", 0, started("p"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		var last error
		for _, err := range s.Tail(context.Background(), "r", 0) {
			if last = err; err == nil {
				go func() { _ = s.Close() }()
			}
		}
		ended <- last
	}()
	if err := <-ended; !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("a tail ended with %v", err)
	}
	_ = s.Close()
	if err := s.Append(t.Context(), l, 1, timer(2, "a")); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.Load(t.Context(), "r", 0); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("load: %v", err)
	}
}

func TestTheLeaseOfTheDeadIsVoid(t *testing.T) {
	path := empty(t)(t)
	old := closing(t, open(t, path))
	var deaths atomic.Int32
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Dead: func(owner string) bool {
		deaths.Add(1)
		return owner == "dead"
	}})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, s)
	ctx := t.Context()
	var dead run.Lease
	for _, id := range []run.ID{"a", "b", "c"} {
		if dead, err = old.Create(ctx, id, "dead", 0, started("p")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := old.Create(ctx, "alive", "alive", 0, started("p")); err != nil {
		t.Fatal(err)
	}
	if owner, err := old.Holder(ctx, "c"); err != nil || owner != "dead" {
		t.Errorf("who knows nobody to be dead says %q, %v", owner, err)
	}
	if owner, err := s.Holder(ctx, "c"); err != nil || owner != "" {
		t.Errorf("%q holds it, %v", owner, err)
	}
	deaths.Store(0)
	var got []run.ID
	for id, err := range store.Named(s.Strays(ctx, "p")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if diff := cmp.Diff([]run.ID{"a", "b", "c"}, got); diff != "" || deaths.Load() != 2 {
		t.Errorf("strays: %s, asked %d times whether two owners are dead", diff, deaths.Load())
	}
	l, err := s.Claim(ctx, "c", "other", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Append(ctx, dead, 1, timer(2, "x")); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the dead wrote: %v", err)
	}
	if err := s.Append(ctx, l, 1, timer(2, "x")); err != nil {
		t.Error(err)
	}
	if _, err := s.Claim(ctx, "alive", "other", 0); !errors.Is(err, store.ErrHeld) {
		t.Errorf("the living lost its lease: %v", err)
	}
}

// Two stores of one file stand for two processes: SQLite treats their connections alike.
func TestAnotherProcessIsNoticed(t *testing.T) {
	path := empty(t)(t)
	here, there := closing(t, open(t, path)), closing(t, open(t, path))
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	l, err := there.Create(ctx, "r", "there", 0, started("p"))
	if err != nil {
		t.Fatal(err)
	}
	tail, told, hinted := make(chan run.Seq, 10), make(chan run.ID, 10), make(chan struct{}, 10)
	group.Go(func() {
		for f, err := range here.Tail(ctx, "r", 0) {
			if err == nil {
				tail <- f.Seq
			}
		}
	})
	group.Go(func() {
		for id := range here.Told(ctx) {
			told <- id
		}
	})
	group.Go(func() {
		for range here.Hinted(ctx, "p") {
			hinted <- struct{}{}
		}
	})
	if seq := <-tail; seq != 1 {
		t.Errorf("the tail begins at %d", seq)
	}
	if id := <-told; id != "" {
		t.Errorf("told of %q", id)
	}
	<-hinted
	if err := there.Append(ctx, l, 1, timer(2, "a")); err != nil {
		t.Fatal(err)
	}
	if seq := <-tail; seq != 2 {
		t.Errorf("the tail goes on at %d", seq)
	}
	if _, err := there.Tell(ctx, "r", run.Fact{At: at, Body: &run.PauseAsked{}}, ""); err != nil {
		t.Fatal(err)
	}
	if id := <-told; id != "r" {
		t.Errorf("told of %q", id)
	}
	if seq := <-tail; seq != 3 {
		t.Errorf("the tail goes on at %d", seq)
	}
	for {
		<-hinted
		if h, ok, _, err := here.Dequeue(ctx, "p"); err != nil || ok {
			if h.Run != "r" {
				t.Errorf("a hint of %q, %v", h.Run, err)
			}
			break
		}
	}
}

func TestManyTellsOfAnotherProcessAreAGap(t *testing.T) {
	path := empty(t)(t)
	here, there := closing(t, open(t, path)), closing(t, open(t, path))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := there.Create(ctx, "r", "there", 0, started("p")); err != nil {
		t.Fatal(err)
	}
	const tellers, each = 50, 40
	heard := 0
	for id, err := range here.Told(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if heard++; heard == 1 {
			var group sync.WaitGroup
			for range tellers {
				group.Go(func() {
					for range each {
						if _, err := there.Tell(ctx, "r", run.Fact{At: at, Body: &run.PauseAsked{}}, ""); err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			continue
		}
		if id == "r" || id == "" {
			break
		}
	}
}

// A child process appends until it is killed. What it acknowledged on its standard output is there afterwards, and nothing is there by halves.
func TestKilledInTheMidstOfAppends(t *testing.T) {
	rounds := 3
	if os.Getenv("SLOP_LONG") != "" {
		rounds = 20
	}
	path := empty(t)(t)
	acked := map[run.ID]run.Seq{}
	for round := range rounds {
		kill(t, path, fmt.Sprint("p", round), 150+37*round, acked)
		s := open(t, path)
		for id, head := range acked {
			facts, err := s.Load(t.Context(), id, 0)
			if err != nil {
				t.Fatal(err)
			}
			if run.Seq(len(facts)) < head {
				t.Errorf("run %s: fact %d was acknowledged, and it ends at %d", id, head, len(facts))
			}
			if len(facts)%batchSize != 1 {
				t.Errorf("run %s: it has %d facts, which is half a batch", id, len(facts))
			}
			for i, f := range facts[1:] {
				if want := fmt.Sprint(id, " ", i+2); f.Body.(*run.TimerFired).Timer != want {
					t.Fatalf("run %s: fact %d is %+v", id, i+2, f.Body)
				}
			}
		}
		if got := problems(t, s); got != nil {
			t.Errorf("after a kill: %v", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acked) == 0 {
		t.Error("nothing was acknowledged")
	}
}

const batchSize = 3

// child starts a process that appends until it is killed, and yields what it acknowledges.
func child(t *testing.T, path, name string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SLOP_TEST_STORE="+path, "SLOP_TEST_NAME="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func acknowledged(t *testing.T, line string, acked map[run.ID]run.Seq) {
	t.Helper()
	var id run.ID
	var head run.Seq
	if _, err := fmt.Sscan(line, &id, &head); err != nil {
		return // the kill cut it short
	}
	acked[id] = head
}

func kill(t *testing.T, path, name string, after int, acked map[run.ID]run.Seq) {
	t.Helper()
	cmd, lines := child(t, path, name)
	for n := 0; lines.Scan(); n++ {
		acknowledged(t, lines.Text(), acked)
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
}

// appendForever is the child.
func appendForever(path, name string) error {
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	const runs = 8
	errs := make(chan error, runs)
	var out sync.Mutex
	for i := range runs {
		go func() {
			id := run.ID(fmt.Sprintf("%s-%d", name, i))
			l, err := s.Create(context.Background(), id, name, 0, started("p"))
			for head := run.Seq(1); err == nil; head += batchSize {
				var batch []run.Fact
				for j := range run.Seq(batchSize) {
					batch = append(batch, timer(head+j+1, fmt.Sprint(id, " ", head+j+1)))
				}
				if err = s.Append(context.Background(), l, head, batch...); err == nil {
					out.Lock()
					fmt.Println(id, head+batchSize)
					out.Unlock()
				}
			}
			errs <- err
		}()
	}
	return <-errs
}

func TestSeveralProcessesWriteOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db") // that all of them begin
	acked := map[run.ID]run.Seq{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 3 {
		name := fmt.Sprint("c", i)
		cmd, lines := child(t, path, name)
		group.Go(func() {
			for n := 0; lines.Scan(); n++ {
				mu.Lock()
				acknowledged(t, lines.Text(), acked)
				mu.Unlock()
				if n == 100 {
					_ = cmd.Process.Kill()
				}
			}
			_ = cmd.Wait()
		})
	}
	s := closing(t, open(t, path))
	l, err := s.Create(t.Context(), "mine", "me", 0, started("p"))
	if err != nil {
		t.Fatal(err)
	}
	for head := run.Seq(1); head < 50; head++ {
		if err := s.Append(t.Context(), l, head, timer(head+1, "x")); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if len(acked) != 3*8 {
		t.Errorf("%d runs of three processes were acknowledged", len(acked))
	}
	for id, head := range acked {
		if facts, err := s.Load(t.Context(), id, 0); err != nil || run.Seq(len(facts)) < head || len(facts)%batchSize != 1 {
			t.Errorf("run %s: %d facts, %d acknowledged, %v", id, len(facts), head, err)
		}
	}
	if got := problems(t, s); got != nil {
		t.Error(got)
	}
}
