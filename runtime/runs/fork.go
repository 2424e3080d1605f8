package runs

import (
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// Change says in what a fork is to differ from its origin, and who begins it. The zero value does again what failed or had not ended.
type Change struct {
	From   run.Path       `json:"from,omitempty"`   // the step, or the block, item, round or flow of steps, to be done again
	Only   bool           `json:"only,omitempty"`   // what depends on From keeps its result all the same
	Inputs map[string]any `json:"inputs,omitempty"` // those that differ, by name
	Plan   *plan.Plan     `json:"-"`                // of an edited script; nil: the origin's
	Head   run.Seq        `json:"head,omitempty"`   // how much of the origin counts; 0: all. With that of a forecast a fork is what was forecast, though its origin goes on
	By     string         `json:"by,omitempty"`     // "": who began the origin
	Pool   string         `json:"pool,omitempty"`   // "": that of the origin
	ID     run.ID         `json:"-"`                // of the fork; "": a new one. ErrExists when there is one of it
}

// Forecast is what a fork keeps of its origin and does again.
type Forecast struct {
	Of     run.ID         `json:"of"`
	Head   run.Seq        `json:"head"` // the last fact of the origin that was looked at
	Flow   string         `json:"flow"`
	Seq    run.Seq        `json:"seq"`            // of the origin's first fact that the fork does not take over
	Kept   run.Seq        `json:"kept,omitempty"` // of the fork's last fact that it takes over
	Inputs map[string]any `json:"inputs,omitempty"`
	Again  []travel.Again `json:"again"` // in the order in which the origin did it, then what it has never done
	Keeps  []travel.Keeps `json:"keeps"`
	Gone   []run.Path     `json:"gone,omitempty"`  // steps of the origin that an edited script does not have
	Fails  *run.Error     `json:"fails,omitempty"` // why it will fail before anything is done again; nil: nothing says that it will
}

// Usage is what the kept steps have used, which their origin paid for.
func (f *Forecast) Usage() run.Usage {
	var u run.Usage
	for _, k := range f.Keeps {
		u = u.Add(k.Usage)
	}
	return u
}
