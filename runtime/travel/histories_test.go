package travel_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/sim"
	"github.com/slopstudios/slop/runtime/travel"
)

const histories = "../../testdata/histories"

// Every history that was ever recorded there is still read, and ends as it ended. `make golden` records those of a new version of the machine; those of old
// versions stay as they are for ever. A run of the program is added by hand: slop runs export ID > testdata/histories/m1-NAME.json, with the version of the
// machine that made it; m1-killed.json is one whose process was killed in the midst of a deed, with a text that stands apart.
func TestRecordedHistoriesAreStillRead(t *testing.T) {
	if langtest.Golden() {
		recordHistories(t)
	}
	files, err := filepath.Glob(filepath.Join(histories, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	current := 0
	kinds := map[string]bool{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := travel.Import(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := travel.Replay(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again := exportedWith(t, h, data); string(again) != string(data) {
			t.Errorf("%s is written differently now", name)
		}
		for _, f := range h.Facts {
			kinds[f.Kind()] = true
		}
		if strings.HasPrefix(filepath.Base(name), fmt.Sprintf("m%d-", machine.Version)) {
			current++
		}
	}
	if current == 0 {
		t.Errorf("the machine has version %d, and no history was recorded with it: make golden", machine.Version)
	}
	for _, kind := range []string{"started", "call_started", "call_done", "call_failed", "call_ended", "asked", "answered", "computed", "timer_fired", "pause_asked", "resume_asked", "cancel_asked", "finished"} {
		if !kinds[kind] {
			t.Errorf("no history has the fact %s", kind)
		}
	}
}

// exportedWith writes h again with the bytes that its file has.
func exportedWith(t *testing.T, h *travel.History, data []byte) []byte {
	t.Helper()
	_, blobs, err := travel.Import(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := travel.Export(h, blobs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// recordHistories writes a history of each kind, unless this version of the machine has it.
func recordHistories(t *testing.T) {
	if err := os.MkdirAll(histories, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, h *travel.History, blobs map[string][]byte) {
		t.Helper()
		file := filepath.Join(histories, fmt.Sprintf("m%d-%s.json", machine.Version, name))
		if _, err := os.Stat(file); err == nil {
			return
		}
		data, err := travel.Export(h, blobs, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rain := map[string]any{"x": "rain"}
	origin := start(t, compile(t, chain, nil), rain, 1).play()
	write("chain", origin, nil)
	write("fork", goOn(t, fork(t, origin, travel.Change{From: "b"}), 1).play(), nil)
	for _, seed := range []uint64{4, 6, 12} {
		w := start(t, compile(t, sim.Script(rand.New(rand.NewPCG(seed, 0)), true), sim.Files()), sim.Inputs(seed), seed)
		w.answer = simulated(seed)
		write(fmt.Sprintf("random%d", seed), w.play(), nil)
	}
	asking := start(t, compile(t, asks, nil), nil, 1)
	asking.wants, asking.person = wants, wanted
	write("asks", asking.play(), nil)
	write("all", everything(t), map[string][]byte{hashOf(longText): []byte(longText)})
}

const longText = "a text that stands apart from the facts"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// everything is a history with what an ordinary run has not.
func everything(t *testing.T) *travel.History {
	p := compile(t, `
input x: string
first = race {
  a = writer "a <<x>>"
  b = editor "b <<x>>"
}
score = critic "score <<first>>" as int repair 1
pause = wait "10s"
text = reader "LONG"
let n = len(text)
tries = oracle "tries <<score>>" retry 2
ok = human.approve "go on?" timeout 1m else "no"
output [first, tries, ok, n]`, nil)
	w := start(t, p, map[string]any{"x": "rain"}, 1)
	tell := func(b run.Body) {
		t.Helper()
		w.now = w.now.Add(1e9)
		w.tell(b)
	}
	call := func(path run.Path, attempt int) *run.CallWish {
		t.Helper()
		for x := range w.m.Open() {
			if c, ok := x.(*run.CallWish); ok && c.Path == path && c.Attempt == attempt {
				tell(&run.CallStarted{Path: c.Path, Attempt: c.Attempt, Key: c.Key, Fingerprint: c.Fingerprint, Reserved: c.Reserve})
				return c
			}
		}
		t.Fatalf("%s %d is not open\n%s", path, attempt, w.log())
		return nil
	}
	used := run.Usage{Calls: 1, Input: 10, Output: 5, Tokens: run.Reported, Cost: 100, CostSource: run.Estimated, Model: "m"}
	call("first/a", 1)
	call("first/b", 1)
	tell(&run.CallDone{Path: "first/a", Attempt: 1, Value: "a", Usage: used})
	tell(&run.CallEnded{Path: "first/b", Attempt: 1, Usage: used})
	tell(&run.PauseAsked{By: "me", Reason: "lunch"})
	tell(&run.ResumeAsked{By: "me"})
	call("score", 1)
	tell(&run.CallFailed{Path: "score", Attempt: 1, Outcome: run.Invalid, Message: "no number", Problems: []string{"it is no int"}, Answer: "seven", Usage: used})
	call("score~1", 1)
	tell(&run.CallDone{Path: "score~1", Attempt: 1, Value: 7, Usage: used})
	tell(&run.TimerFired{Timer: "pause"})
	call("text", 1)
	tell(&run.CallDone{Path: "text", Attempt: 1, Value: types.Large{SHA256: hashOf(longText), Size: int64(len(longText))}, Usage: used})
	for x := range w.m.Open() {
		if c, ok := x.(*run.ComputeWish); ok {
			tell(&run.Computed{Path: c.Path, Value: len(longText)})
			break
		}
	}
	call("tries", 1)
	tell(&run.CallFailed{Path: "tries", Attempt: 1, Outcome: run.Unavailable, Message: "busy", Usage: used})
	call("tries", 2)
	tell(&run.CallDone{Path: "tries", Attempt: 2, Value: 3.5, Usage: used})
	tell(&run.Asked{Path: "ok", Form: run.Form{Kind: "approve", Text: "go on?"}})
	tell(&run.CancelAsked{By: "me", Reason: "enough"})
	for x := range w.m.Open() {
		if end, ok := x.(*run.FinishWish); ok {
			tell(&end.Finished)
			break
		}
	}
	return w.h
}
