// Package invariant checks the history of a run against its plan, and knows nothing of the machine that made it.
package invariant

import (
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// Check says what is wrong with a history, one line each.
func Check(p *plan.Plan, facts []run.Fact) []string { return nil }
