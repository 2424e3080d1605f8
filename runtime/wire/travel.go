package wire

import (
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/travel"
)

// Difference is travel.Difference with usage, times and values as the other reports have them.
type Difference struct {
	Same    bool                `json:"same"`
	A       Side                `json:"a"`
	B       Side                `json:"b"`
	Plan    bool                `json:"plan"`
	Script  []travel.FileChange `json:"script"`
	Inputs  []travel.Pair       `json:"inputs"`
	First   *run.Path           `json:"first"`
	Steps   []StepDifference    `json:"steps"`
	Alike   int                 `json:"alike"`
	Outcome bool                `json:"outcome"`
	Output  *travel.Pair        `json:"output"`
}

// Side is one of two runs that are compared.
type Side struct {
	ID       run.ID     `json:"id"`
	Flow     string     `json:"flow"`
	Status   run.Status `json:"status"`
	Error    *Error     `json:"error"`
	Plan     string     `json:"plan"`
	Fork     *run.Fork  `json:"fork"`
	Duration float64    `json:"seconds"`
	Usage    Usage      `json:"usage"`
	Cost
}

// StepDifference is a step that differs.
type StepDifference struct {
	Path  run.Path `json:"path"`
	Agent string   `json:"agent"`
	What  []string `json:"what"`
	Sent  []string `json:"sent"`
	A     *Doing   `json:"a"`
	B     *Doing   `json:"b"`
}

// Doing is a step as one of the runs did it.
type Doing struct {
	Status      string  `json:"status"`
	Fingerprint string  `json:"fingerprint,omitempty"`
	Text        string  `json:"text,omitempty"`
	Value       any     `json:"value"`
	Error       string  `json:"error,omitempty"`
	Attempts    int     `json:"attempts"`
	Duration    float64 `json:"seconds"`
	Usage       Usage   `json:"usage"`
	Cost
}

// DifferenceOf is a difference as it is shown.
func DifferenceOf(d *travel.Difference) Difference {
	side := func(s *travel.Side) Side {
		r := Side{ID: s.ID, Flow: s.Flow, Status: s.Status, Plan: s.Plan, Fork: s.Fork, Duration: s.Duration.Seconds(), Usage: UsageOf(s.Usage), Cost: CostOf(s.Usage, NoSource)}
		if e := s.Error; e != nil {
			r.Error = ErrorOf(e)
		}
		return r
	}
	doing := func(s *travel.Doing) *Doing {
		if s == nil {
			return nil
		}
		return &Doing{Status: s.Status, Fingerprint: s.Fingerprint, Text: s.Text, Value: Plain(s.Value), Error: s.Error, Attempts: s.Attempts, Duration: s.Duration.Seconds(),
			Usage: UsageOf(s.Usage), Cost: CostOf(s.Usage, NoSource)}
	}
	pair := func(p travel.Pair) travel.Pair {
		return travel.Pair{Name: p.Name, A: Plain(p.A), B: Plain(p.B)}
	}
	r := Difference{
		Same: Alike(d), A: side(&d.A), B: side(&d.B), Plan: d.Plan, Script: append([]travel.FileChange{}, d.Script...), Inputs: []travel.Pair{}, Steps: []StepDifference{},
		Alike: d.Same, Outcome: d.Outcome,
	}
	for _, p := range d.Inputs {
		r.Inputs = append(r.Inputs, pair(p))
	}
	if d.First != "" {
		r.First = &d.First
	}
	if d.Output != nil {
		p := pair(*d.Output)
		r.Output = &p
	}
	for _, s := range d.Steps {
		r.Steps = append(r.Steps, StepDifference{s.Path, s.Agent, s.What, append([]string{}, s.Sent...), doing(s.A), doing(s.B)})
	}
	return r
}

// Alike reports whether nothing differs but what it cost and how long it took.
func Alike(d *travel.Difference) bool {
	return !d.Plan && !d.Outcome && d.First == "" && len(d.Inputs) == 0
}

// Forecast is what a fork would keep and do again.
type Forecast struct {
	Fork  bool           `json:"fork"`
	Of    run.ID         `json:"of"`
	Head  run.Seq        `json:"head"` // the last fact that was looked at: a fork with it does what is said here
	Seq   run.Seq        `json:"seq"`
	Flow  string         `json:"flow"`
	Again []Again        `json:"again"`
	Keeps []Keeps        `json:"keeps"`
	Gone  []run.Path     `json:"gone"`
	Kept  Cost           `json:"kept"`
	Fails *Error         `json:"fails"`
	Input map[string]any `json:"inputs"`
}

// Again is a step that is done again.
type Again struct {
	travel.Again
	Text string `json:"text"`
}

// Keeps is a step whose result is kept.
type Keeps struct {
	Path   run.Path `json:"path"`
	Agent  string   `json:"agent"`
	Pinned bool     `json:"pinned"`
	Usage  Usage    `json:"usage"`
	Cost
}

// ForecastOf is a forecast as it is shown.
func ForecastOf(f *runs.Forecast) Forecast {
	r := Forecast{Fork: true, Of: f.Of, Head: f.Head, Seq: f.Seq, Flow: f.Flow, Again: []Again{}, Keeps: []Keeps{}, Gone: []run.Path{}, Kept: CostOf(f.Usage(), NoSource)}
	r.Input, _ = Plain(f.Inputs).(map[string]any)
	for i := range f.Again {
		r.Again = append(r.Again, Again{f.Again[i], f.Again[i].Text()})
	}
	for _, k := range f.Keeps {
		r.Keeps = append(r.Keeps, Keeps{k.Path, k.Agent, k.Pinned, UsageOf(k.Usage), CostOf(k.Usage, NoSource)})
	}
	r.Gone = append(r.Gone, f.Gone...)
	if e := f.Fails; e != nil {
		r.Fails = ErrorOf(e)
	}
	return r
}

// ReadForecast is what ForecastOf was made of.
func ReadForecast(r Forecast) *runs.Forecast {
	f := &runs.Forecast{Of: r.Of, Head: r.Head, Flow: r.Flow, Seq: r.Seq, Inputs: r.Input, Gone: r.Gone}
	for _, a := range r.Again {
		f.Again = append(f.Again, a.Again)
	}
	for _, k := range r.Keeps {
		f.Keeps = append(f.Keeps, travel.Keeps{Path: k.Path, Agent: k.Agent, Pinned: k.Pinned, Usage: ReadUsage(k.Usage, k.Cost)})
	}
	if e := r.Fails; e != nil {
		f.Fails = &run.Error{Code: e.Code, Message: e.Message, Path: e.Path}
	}
	return f
}
