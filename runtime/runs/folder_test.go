package runs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

func call(name, agent string, fallbacks ...plan.Fallback) plan.Node {
	return plan.Node{Kind: plan.CallNode, Name: name, Call: &plan.Call{Agent: agent}, Else: fallbacks}
}

// ladder is a plan with one of each way down.
func ladder() *plan.Plan {
	return &plan.Plan{Blocks: []plan.Block{
		{Value: 6, Nodes: []plan.Node{ // 0: the file
			call("quote", "oracle", plan.Fallback{Kind: plan.Skip}, plan.Fallback{Kind: plan.BlockElse, Block: 1}),
			{Kind: plan.MapNode, Name: "notes", Map: &plan.Map{Block: 2}},
			{Kind: plan.ChoiceNode, Name: "pick", Choice: &plan.Choice{Branches: []plan.Branch{{Block: 1}, {Block: 3}}, Else: 2}},
			{Kind: plan.MatchNode, Name: "kind", Match: &plan.Match{Arms: []plan.Arm{{Values: []any{"a/b"}, Block: 3}, {Values: []any{3}, Block: 1}}, Else: -1}},
			{Kind: plan.LoopNode, Name: "poem", Loop: &plan.Loop{Block: 4}},
			{Kind: plan.GroupNode, Name: "safe", Group: &plan.Group{Block: 5}, Else: []plan.Fallback{{Kind: plan.BlockElse, Block: 2}}},
			call("", "editor"),
		}},
		{Value: 0, Nodes: []plan.Node{call("", "elder")}},                                                  // 1
		{Value: 0, Nodes: []plan.Node{call("", "reader")}},                                                 // 2
		{Value: -1, Nodes: []plan.Node{call("deep", "digger")}},                                            // 3
		{Value: 1, Nodes: []plan.Node{call("review", "critic"), call("", "writer"), {Name: "x"}}},          // 4
		{Value: 0, Nodes: []plan.Node{call("", "builder", plan.Fallback{Kind: plan.BlockElse, Block: 1})}}, // 5
	}}
}

func TestAgentsOfPaths(t *testing.T) {
	for path, want := range map[run.Path]string{
		"quote": "oracle", "quote~1": "oracle", "quote/else2": "elder", "quote/else": "",
		"notes[3]": "reader", "notes[99]~2": "reader", "pick/then": "elder", "pick/elif2/deep": "digger", "pick/else": "reader",
		`kind/"a/b"/deep`: "digger", "kind/3": "elder", "poem#2/review": "critic", "poem#2": "writer", "output": "editor", "safe": "builder", "safe/else": "elder", "safe/else2": "reader", "nowhere/at/all": "",
	} {
		f := runs.Fold(ladder())
		f.Add(run.Fact{Seq: 1, Body: &run.CallStarted{Path: path, Attempt: 1}})
		if got := f.View().Steps[0].Agent; got != want {
			t.Errorf("%s is called by %q, want %q", path, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0).UTC() }
	f := runs.Fold(ladder()).Named("r")
	seq := run.Seq(0)
	add := func(body run.Body) {
		seq++
		f.Add(run.Fact{Seq: seq, At: at(int(seq)), Body: body})
	}
	wantStatus := func(want run.Status) {
		t.Helper()
		if got := f.Status(); got != want {
			t.Errorf("after fact %d the run is %s, want %s", seq, got, want)
		}
	}
	wantStatus(run.Queued)
	add(&run.Started{})
	add(&run.CallStarted{Path: "quote", Attempt: 1})
	wantStatus(run.Running)
	add(&run.CallFailed{Path: "quote", Attempt: 1, Outcome: run.Timeout, Message: "slow", Usage: run.Usage{Calls: 1, Tokens: run.Unknown}})
	if s, _ := f.Step("quote"); s.Status != runs.Failed || s.Error != "slow" {
		t.Errorf("after a failure: %+v", s)
	}
	add(&run.CallStarted{Path: "quote", Attempt: 2})
	add(&run.Asked{Path: "ok", Form: run.Form{Kind: "approve", Text: "go?"}})
	wantStatus(run.Running)
	add(&run.CallDone{Path: "quote", Attempt: 2, Value: "v", Usage: run.Usage{Calls: 1, Input: 5, Tokens: run.Reported}})
	wantStatus(run.Waiting)
	add(&run.PauseAsked{})
	wantStatus(run.Paused)
	add(&run.ResumeAsked{})
	add(&run.Answered{Path: "ok", Value: "yes"})
	wantStatus(run.Running)
	add(&run.Answered{Path: "ok", Value: "no"}) // a late one changes nothing
	wantStatus(run.Running)
	add(&run.CallStarted{Path: "notes[0]", Attempt: 1})
	add(&run.Finished{Status: run.Succeeded, Value: "out"})

	want := runs.View{
		ID: "r", Status: run.Succeeded, Output: "out", Started: at(1), Finished: at(12), Usage: run.Usage{Calls: 2, Input: 5, Tokens: run.Unknown},
		Steps: []runs.Step{
			{Path: "quote", Agent: "oracle", Status: runs.Done, Attempts: 2, Started: at(2), Finished: at(6), Usage: run.Usage{Calls: 2, Input: 5, Tokens: run.Unknown}},
			{Path: "ok", Status: runs.Done, Attempts: 1, Started: at(5), Finished: at(9)},
			{Path: "notes[0]", Agent: "reader", Status: runs.Cancelled, Attempts: 1, Started: at(11), Finished: at(12)},
		},
	}
	if diff := cmp.Diff(want, f.View()); diff != "" {
		t.Error(diff)
	}
}

func TestAQuestionWhoseTimeIsOver(t *testing.T) {
	f := runs.Fold(ladder())
	f.Add(run.Fact{Seq: 1, Body: &run.Started{}})
	f.Add(run.Fact{Seq: 2, Body: &run.TimerFired{Timer: "quote@timeout"}}) // of a step nobody was asked about
	f.Add(run.Fact{Seq: 3, Body: &run.Asked{Path: "ok"}})
	if f.Status() != run.Waiting {
		t.Errorf("while it is asked the run is %s", f.Status())
	}
	f.Add(run.Fact{Seq: 4, Body: &run.TimerFired{Timer: "ok@timeout"}})
	if s, _ := f.Step("ok"); s.Status != runs.Failed || s.Form != nil || f.Status() != run.Running {
		t.Errorf("after its time: %+v, the run is %s", s, f.Status())
	}
}
