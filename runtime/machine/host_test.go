package machine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// compile makes the plan of a script; files are what it uses.
func compile(t testing.TB, script string, files map[string]string) *plan.Plan {
	t.Helper()
	p, diags := lang.Compile(source.NewFile("main.slop", script), langtest.Files(langtest.Scope(), files))
	for _, d := range diags {
		if d.Severity == diag.Error {
			t.Fatalf("%s: %s: %s\n%s", d.File.Pos(d.Span.Start).File, d.Code, d.Message, script)
		}
	}
	return p
}

// host carries a run by hand: the test says what happens. After every fact it checks that the deltas add up to Open, that a machine restored from a snapshot
// is the same, and goes on with that one.
type host struct {
	t     *testing.T
	p     *plan.Plan
	m     *machine.Machine
	facts []run.Fact
	open  map[run.WishID]run.Wish
	now   time.Time
	began map[run.Path]int
}

func begin(t *testing.T, script string, inputs map[string]any) *host {
	t.Helper()
	return beginWith(t, compile(t, script, nil), &run.Started{Inputs: inputs, Seed: 7})
}

func beginWith(t *testing.T, p *plan.Plan, s *run.Started) *host {
	t.Helper()
	h := &host{t: t, p: p, m: machine.New("r1", p), open: map[run.WishID]run.Wish{}, now: start, began: map[run.Path]int{}}
	s.Machine = machine.Version
	h.must(s)
	return h
}

// tell applies a fact and keeps it when it counts.
func (h *host) tell(b run.Body) error {
	h.t.Helper()
	f := run.Fact{Seq: run.Seq(len(h.facts) + 1), At: h.now, Body: b}
	before, err := h.m.Snapshot()
	if err != nil {
		h.t.Fatalf("%s: %v", f, err)
	}
	d, err := h.m.Apply(f)
	after, snapErr := h.m.Snapshot()
	if snapErr != nil {
		h.t.Fatalf("%s: %v", f, snapErr)
	}
	if err != nil {
		if string(before) != string(after) {
			h.t.Fatalf("%s was refused (%v) and changed the state:\n%s\n%s", f, err, before, after)
		}
		return err
	}
	h.facts = append(h.facts, f)
	for _, id := range d.Closed {
		if _, ok := h.open[id]; !ok {
			h.t.Fatalf("%s closed %q, which is not open", f, id)
		}
		delete(h.open, id)
	}
	for _, w := range d.Opened {
		if _, ok := h.open[w.ID()]; ok {
			h.t.Fatalf("%s opened %q a second time", f, w.ID())
		}
		h.open[w.ID()] = w
	}
	h.sameWishes(f)
	restored, err := machine.Restore(h.p, after)
	if err != nil {
		h.t.Fatalf("after %s: %v\n%s", f, err, after)
	}
	again, err := restored.Snapshot()
	if err != nil {
		h.t.Fatalf("after %s: %v", f, err)
	}
	if diff := cmp.Diff(string(after), string(again)); diff != "" {
		h.t.Fatalf("after %s a restored machine is another:\n%s", f, diff)
	}
	if diff := cmp.Diff(wishTexts(h.m), wishTexts(restored)); diff != "" {
		h.t.Fatalf("after %s a restored machine has other wishes:\n%s", f, diff)
	}
	if h.m.Status() != restored.Status() {
		h.t.Fatalf("after %s a restored machine is %s, not %s", f, restored.Status(), h.m.Status())
	}
	h.m = restored
	return nil
}

func wishTexts(m *machine.Machine) []string {
	var out []string
	for w := range m.Open() {
		out = append(out, text(w))
	}
	return out
}

func text(w run.Wish) string {
	s := fmt.Sprint(w)
	if c, ok := w.(*run.CallWish); ok {
		s += fmt.Sprintf(" key=%s fingerprint=%s reserve=%+v system=%q started=%v", c.Key, c.Fingerprint, c.Reserve, c.System, c.Started)
	}
	return s
}

func (h *host) sameWishes(f run.Fact) {
	h.t.Helper()
	n := 0
	for w := range h.m.Open() {
		n++
		if _, ok := h.open[w.ID()]; !ok {
			h.t.Fatalf("after %s, %q is open but no delta opened it", f, w.ID())
		}
	}
	if n != len(h.open) {
		h.t.Fatalf("after %s the deltas left %d wishes open, Open has %d", f, len(h.open), n)
	}
}

func (h *host) must(b run.Body) {
	h.t.Helper()
	if err := h.tell(b); err != nil {
		h.t.Fatalf("%s: %v\nopen: %s", run.Fact{Body: b}, err, h.wishes())
	}
}

func (h *host) stale(b run.Body) {
	h.t.Helper()
	if err := h.tell(b); !errors.Is(err, machine.ErrStale) {
		h.t.Fatalf("%s should be stale, got %v", run.Fact{Body: b}, err)
	}
}

func (h *host) call(path run.Path) *run.CallWish {
	h.t.Helper()
	for w := range h.m.Open() {
		if c, ok := w.(*run.CallWish); ok && c.Path == path {
			return c
		}
	}
	h.t.Fatalf("no call of %s is open, but %s", path, h.wishes())
	return nil
}

// begin records that a call has started.
func (h *host) begin(path run.Path) *run.CallWish {
	h.t.Helper()
	c := h.call(path)
	if !c.Callee.Free {
		h.must(&run.CallStarted{Path: path, Attempt: c.Attempt, Key: c.Key, Fingerprint: c.Fingerprint, Reserved: c.Reserve})
	}
	return c
}

func (h *host) started(path run.Path) *run.CallWish {
	h.t.Helper()
	if c := h.call(path); c.Started || c.Callee.Free {
		return c
	}
	return h.begin(path)
}

func (h *host) answer(path run.Path, v any) {
	h.t.Helper()
	c := h.started(path)
	h.must(&run.CallDone{Path: path, Attempt: c.Attempt, Value: v, Usage: run.Usage{Calls: 1}})
}

func (h *host) fail(path run.Path, o run.Outcome, message string) {
	h.t.Helper()
	c := h.started(path)
	h.must(&run.CallFailed{Path: path, Attempt: c.Attempt, Outcome: o, Message: message, Usage: run.Usage{Calls: 1}})
}

func (h *host) fire(timer string) {
	h.t.Helper()
	for w := range h.m.Open() {
		if s, ok := w.(*run.SleepWish); ok && s.Timer == timer {
			if s.Until.After(h.now) {
				h.now = s.Until
			}
		}
	}
	h.must(&run.TimerFired{Timer: timer})
}

// wishes are the texts of what is open, without the details of calls.
func (h *host) wishes() string {
	var out []string
	for w := range h.m.Open() {
		out = append(out, fmt.Sprint(w))
	}
	return strings.Join(out, "\n")
}

func (h *host) opens(want ...string) {
	h.t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n"), h.wishes()); diff != "" {
		h.t.Fatalf("open wishes (-want +got):\n%s", diff)
	}
}

// ends grants the wish to finish, checks the value, and folds the whole history again.
func (h *host) ends(want any) {
	h.t.Helper()
	f := h.finish()
	if f.Status != run.Succeeded {
		h.t.Fatalf("the run %s: %s", f.Status, f.Error)
	}
	if diff := cmp.Diff(want, f.Value); diff != "" {
		h.t.Fatalf("the value (-want +got):\n%s", diff)
	}
}

func (h *host) failsWith(code string, words ...string) *run.Error {
	h.t.Helper()
	f := h.finish()
	if f.Error == nil || f.Error.Code != code {
		h.t.Fatalf("the run should fail with %s, it is %s: %s", code, f.Status, f.Error)
	}
	for _, w := range words {
		if !strings.Contains(f.Error.Message, w) {
			h.t.Errorf("the message %q should say %q", f.Error.Message, w)
		}
	}
	return f.Error
}

func (h *host) finish() *run.Finished {
	h.t.Helper()
	w, ok := h.open[(&run.FinishWish{}).ID()].(*run.FinishWish)
	if !ok {
		h.t.Fatalf("the run does not want to finish, but %s", h.wishes())
	}
	if len(h.open) != 1 {
		h.t.Fatalf("something is open beside the end:\n%s", h.wishes())
	}
	f := w.Finished
	h.must(&f)
	if len(h.open) != 0 || h.m.Status() != f.Status {
		h.t.Fatalf("a finished run (%s) wants %s", h.m.Status(), h.wishes())
	}
	h.stale(&run.CancelAsked{})
	folded := machine.New("r1", h.p)
	for _, fact := range h.facts {
		raw, err := run.EncodeFact(fact)
		if err != nil {
			h.t.Fatal(err)
		}
		if fact, err = run.DecodeFact(raw); err != nil {
			h.t.Fatal(err)
		}
		if _, err := folded.Apply(fact); err != nil {
			h.t.Fatalf("folding %s again: %v", fact, err)
		}
	}
	a, _ := h.m.Snapshot()
	b, _ := folded.Snapshot()
	if string(a) != string(b) {
		h.t.Fatalf("folded again the run is another:\n%s\n%s", a, b)
	}
	for _, problem := range invariant.Check(h.p, h.facts) {
		h.t.Errorf("invariant: %s\n%s", problem, history(h.facts))
	}
	return &f
}

func history(facts []run.Fact) string {
	var b strings.Builder
	for _, f := range facts {
		fmt.Fprintf(&b, "%d %s\n", f.Seq, f)
	}
	return b.String()
}

// callPaths are the paths of the calls that are open, in order.
func (h *host) callPaths() []string {
	var out []string
	for w := range h.m.Open() {
		if c, ok := w.(*run.CallWish); ok {
			out = append(out, string(c.Path))
		}
	}
	return out
}

func (h *host) calls(want ...string) {
	h.t.Helper()
	if got := h.callPaths(); !slices.Equal(got, want) {
		h.t.Fatalf("open calls are %q, want %q", got, want)
	}
}
