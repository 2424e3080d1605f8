package travel

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// Difference is what two runs have not in common.
type Difference struct {
	A       Side         `json:"a"`
	B       Side         `json:"b"`
	Script  []FileChange `json:"script,omitempty"` // none: both ran the same text
	Plan    bool         `json:"plan"`             // the plans differ: the text, or what it was compiled against
	Inputs  []Pair       `json:"inputs,omitempty"`
	Steps   []StepChange `json:"steps,omitempty"`
	Same    int          `json:"same"`            // steps that do not differ in what they sent and what came of it
	First   run.Path     `json:"first,omitempty"` // the step at which they part
	Output  *Pair        `json:"output,omitempty"`
	Outcome bool         `json:"outcome"` // they ended differently: status, output or error
}

// Side is one of the two runs.
type Side struct {
	ID       run.ID        `json:"id"`
	Flow     string        `json:"flow"`
	Status   run.Status    `json:"status"`
	Error    *run.Error    `json:"error,omitempty"`
	Plan     string        `json:"plan"`
	Fork     *run.Fork     `json:"fork,omitempty"`
	Usage    run.Usage     `json:"usage,omitzero"`
	Duration time.Duration `json:"duration"`
}

// Pair is a value in both runs. One that is not there is nothing.
type Pair struct {
	Name string `json:"name,omitempty"`
	A    any    `json:"a"`
	B    any    `json:"b"`
}

// FileChange is where the text of a script has changed: the lines between what both begin and what both end with.
type FileChange struct {
	File string   `json:"file"`
	Line int      `json:"line"` // the first that differs
	A    []string `json:"a,omitempty"`
	B    []string `json:"b,omitempty"`
}

// StepChange is a step that differs.
type StepChange struct {
	Path  run.Path `json:"path"`
	Agent string   `json:"agent"`
	Sent  []string `json:"sent,omitempty"` // in what it sent: "its text", …
	What  []string `json:"what,omitempty"` // sent, output, status, usage, duration; or only in a, only in b
	A     *Doing   `json:"a,omitempty"`
	B     *Doing   `json:"b,omitempty"`
}

// Doing is a step as one run did it.
type Doing struct {
	Status      string        `json:"status"` // done, failed, kept, cancelled, open
	Fingerprint string        `json:"fingerprint,omitempty"`
	Text        string        `json:"text,omitempty"`
	Value       any           `json:"value,omitempty"`
	Error       string        `json:"error,omitempty"`
	Attempts    int           `json:"attempts,omitempty"`
	Usage       run.Usage     `json:"usage,omitzero"`
	Duration    time.Duration `json:"duration,omitempty"`
}

// Differ compares two runs step by step, by path.
func Differ(a, b *History) (*Difference, error) {
	x, err := a.read()
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", a.ID, err)
	}
	y, err := b.read()
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", b.ID, err)
	}
	d := &Difference{A: a.side(x), B: b.side(y), Script: scripts(a.Plan, b.Plan)}
	d.Plan = d.A.Plan != d.B.Plan
	d.Inputs = pairs(a.Facts[0].Body.(*run.Started).Inputs, b.Facts[0].Body.(*run.Started).Inputs)
	d.steps(x, y)
	d.outcome(x, y)
	return d, nil
}

func (h *History) side(r *steps) Side {
	begin := h.Facts[0].Body.(*run.Started)
	s := Side{ID: h.ID, Flow: h.Plan.Name, Status: run.Running, Plan: begin.Plan, Fork: begin.Fork, Duration: h.Facts[len(h.Facts)-1].At.Sub(h.Facts[0].At)}
	for _, step := range r.order {
		if !step.kept {
			s.Usage = s.Usage.Add(step.usage)
		}
	}
	if r.end != nil {
		s.Status, s.Error, s.Usage = r.end.Status, r.end.Error, r.end.Usage
	}
	return s
}

func (d *Difference) steps(x, y *steps) {
	for _, s := range x.order {
		if s.first == 0 {
			continue
		}
		if o := y.byPath[s.path]; o == nil || o.first == 0 {
			d.differs(StepChange{Path: s.path, Agent: s.agent, What: []string{"only in a"}, A: s.doing()})
		} else if c := compare(s, o); len(c.What) > 0 {
			d.differs(c)
		} else {
			d.Same++
		}
	}
	for _, s := range y.order {
		if o := x.byPath[s.path]; s.first > 0 && (o == nil || o.first == 0) {
			d.differs(StepChange{Path: s.path, Agent: s.agent, What: []string{"only in b"}, B: s.doing()})
		}
	}
}

// differs adds a step. The first that differs in more than what it used is where the runs part.
func (d *Difference) differs(c StepChange) {
	if d.First == "" && slices.ContainsFunc(c.What, func(w string) bool { return w != "usage" && w != "duration" }) {
		d.First = c.Path
	}
	if !slices.ContainsFunc(c.What, func(w string) bool { return w != "usage" && w != "duration" }) {
		d.Same++
	}
	d.Steps = append(d.Steps, c)
}

func compare(a, b *step) StepChange {
	c := StepChange{Path: a.path, Agent: b.agent, A: a.doing(), B: b.doing()}
	note := func(differs bool, what string) {
		if differs {
			c.What = append(c.What, what)
		}
	}
	c.Sent = sentDifferences(a.wish, b.wish)
	note(len(c.Sent) > 0, "sent")
	note(!same(a.value, b.value), "output")
	note(outcome(a) != outcome(b), "status")
	note(a.usage != b.usage, "usage")
	if x, y := c.A.Duration, c.B.Duration; !a.kept && !b.kept {
		note(max(x, y) > 2*min(x, y) && max(x, y)-min(x, y) > time.Second, "duration")
	}
	return c
}

// sentDifferences lists in words in what two steps differ, of which none comes first. How long a step waits is no difference.
func sentDifferences(a, b run.Wish) []string {
	switch b := b.(type) {
	case *run.CallWish:
		if a, ok := a.(*run.CallWish); ok {
			return callDifferences(a, b)
		}
	case *run.AskWish:
		if a, ok := a.(*run.AskWish); ok {
			if same(a.Form, b.Form) {
				return nil
			}
			return []string{"the question"}
		}
	case *run.SleepWish:
		if _, ok := a.(*run.SleepWish); ok {
			return nil
		}
	}
	return []string{"the kind of step"}
}

// outcome is the status of a step, whoever did it.
func outcome(s *step) string {
	switch {
	case s.void:
		return "cancelled"
	case s.last == 0:
		return "open"
	case s.failed:
		return "failed"
	}
	return "done"
}

func (s *step) doing() *Doing {
	d := &Doing{Status: outcome(s), Value: s.value, Error: s.message, Attempts: s.attempts, Usage: s.usage}
	if s.kept {
		d.Status = run.Kept
	}
	if !s.began.IsZero() && !s.ended.IsZero() && !s.kept {
		d.Duration = s.ended.Sub(s.began)
	}
	switch w := s.wish.(type) {
	case *run.CallWish:
		d.Fingerprint = w.Fingerprint
		switch t := w.Text.(type) {
		case string:
			d.Text = t
		case []string:
			d.Text = strings.Join(t, " ")
		case types.Parts:
			for _, p := range t {
				if s, ok := p.(string); ok {
					d.Text += s
				} else {
					d.Text += "…"
				}
			}
		}
	case *run.AskWish:
		d.Text = w.Form.Text
	}
	return d
}

func (d *Difference) outcome(x, y *steps) {
	a, b := x.end, y.end
	switch {
	case a == nil && b == nil:
	case a == nil || b == nil || a.Status != b.Status || !same(a.Value, b.Value):
		d.Outcome = true
	default:
		d.Outcome = (a.Error == nil) != (b.Error == nil) || a.Error != nil && (a.Error.Code != b.Error.Code || a.Error.Message != b.Error.Message)
	}
	var va, vb any
	if a != nil {
		va = a.Value
	}
	if b != nil {
		vb = b.Value
	}
	if !same(va, vb) {
		d.Output = &Pair{A: va, B: vb}
	}
}

func pairs(a, b map[string]any) []Pair {
	names := map[string]bool{}
	for k := range a {
		names[k] = true
	}
	for k := range b {
		names[k] = true
	}
	var out []Pair
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if !same(a[k], b[k]) {
			out = append(out, Pair{k, a[k], b[k]})
		}
	}
	return out
}

func scripts(a, b *plan.Plan) []FileChange {
	var out []FileChange
	text := func(p *plan.Plan, name string) (string, bool) {
		for _, s := range p.Sources {
			if s.Name == name {
				return s.Text, true
			}
		}
		return "", false
	}
	seen := map[string]bool{}
	for _, s := range append(slices.Clone(a.Sources), b.Sources...) {
		if seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		x, inA := text(a, s.Name)
		y, inB := text(b, s.Name)
		if x == y && inA == inB {
			continue
		}
		out = append(out, fileChange(s.Name, x, y))
	}
	return out
}

func fileChange(name, a, b string) FileChange {
	x, y := strings.Split(strings.TrimRight(a, "\n"), "\n"), strings.Split(strings.TrimRight(b, "\n"), "\n")
	first := 0
	for first < len(x) && first < len(y) && x[first] == y[first] {
		first++
	}
	x, y = x[first:], y[first:]
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return FileChange{File: name, Line: first + 1, A: x, B: y}
}
