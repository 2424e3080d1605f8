package runs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

func call(name, agent string, fallbacks ...plan.Fallback) plan.Node {
	return plan.Node{Kind: plan.CallNode, Name: name, Call: &plan.Call{Agent: agent}, Else: fallbacks}
}

// ladder is a plan with one of each way down.
func ladder() *plan.Plan {
	return &plan.Plan{Callees: []types.Signature{{Name: "noop", Effect: types.Think}}, Blocks: []plan.Block{
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

// simple is a plan of three steps that need each other in no way: a call that is tried again, a question, a call.
func simple() *plan.Plan {
	says := func(n plan.Node, callee, retry int) plan.Node {
		n.Call.Callee, n.Call.Retry, n.Call.Text = callee, retry, &plan.Text{Parts: []plan.Part{{Literal: "go?"}}}
		return n
	}
	return &plan.Plan{
		Callees: []types.Signature{
			{Name: "oracle", Effect: types.Think, Primary: "text", Result: types.Type{Kind: types.String}},
			{Name: "human.approve", Use: "human.approve", Kind: types.Ask, Effect: types.Do, Primary: "question", Result: types.Type{Kind: types.String}},
		},
		Blocks: []plan.Block{{Value: -1, Parent: -1, Nodes: []plan.Node{
			says(call("quote", "oracle"), 0, 1), says(call("ok", "human.approve"), 1, 0), says(call("notes", "reader"), 0, 0),
		}}},
	}
}

func TestFold(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0).UTC() }
	f := runs.Fold(simple()).Named("r")
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
	add(&run.CallStarted{Path: "notes", Attempt: 1})
	add(&run.CallDone{Path: "notes", Attempt: 1, Value: "n"})
	wantStatus(run.Running)
	add(&run.CallFailed{Path: "quote", Attempt: 1, Outcome: run.Timeout, Message: "slow", Usage: run.Usage{Calls: 1, Tokens: run.Unknown}})
	if s, _ := f.Step("quote"); s.Status != runs.Retrying || s.Error != "slow" || s.Until.IsZero() {
		t.Errorf("after a failure that is tried again: %+v", s)
	}
	add(&run.CallStarted{Path: "quote", Attempt: 2})
	add(&run.Asked{Path: "ok", Form: run.Form{Kind: "approve", Text: "go?"}})
	wantStatus(run.Running)
	add(&run.CallDone{Path: "quote", Attempt: 2, Value: "v", Usage: run.Usage{Calls: 1, Input: 5, Tokens: run.Reported}})
	wantStatus(run.Waiting)
	add(&run.PauseAsked{})
	wantStatus(run.Paused)
	add(&run.ResumeAsked{})
	wantStatus(run.Waiting)
	add(&run.Answered{Path: "ok", Value: "yes", By: "ada", Reason: "fine"})
	wantStatus(run.Running)
	add(&run.Answered{Path: "ok", Value: "no"}) // a late one changes nothing
	add(&run.Finished{Status: run.Succeeded, Value: "out"})
	wantStatus(run.Succeeded)

	want := runs.View{
		ID: "r", Status: run.Succeeded, Output: "out", Started: at(1), Finished: at(13), Usage: run.Usage{Calls: 2, Input: 5, Tokens: run.Unknown},
		Steps: []runs.Step{
			{Path: "quote", Agent: "oracle", Status: runs.Done, Attempts: 2, Started: at(2), Finished: at(8), Usage: run.Usage{Calls: 2, Input: 5, Tokens: run.Unknown}},
			{Path: "notes", Agent: "reader", Status: runs.Done, Attempts: 1, Started: at(3), Finished: at(4)},
			{Path: "ok", Agent: "human.approve", Status: runs.Done, Attempts: 1, Started: at(7), Finished: at(11), Answer: &runs.Answer{Value: "yes", By: "ada", At: at(11), Reason: "fine"}},
		},
	}
	if diff := cmp.Diff(want, f.View()); diff != "" {
		t.Error(diff)
	}
}

func TestAQuestionWhoseTimeIsOver(t *testing.T) {
	p := simple()
	p.Blocks[0].Nodes = p.Blocks[0].Nodes[1:2]
	p.Blocks[0].Nodes[0].Timeout = time.Minute
	f := runs.Fold(p).Named("r")
	f.Add(run.Fact{Seq: 1, Body: &run.Started{}})
	f.Add(run.Fact{Seq: 2, Body: &run.Asked{Path: "ok"}})
	if f.Status() != run.Waiting {
		t.Errorf("while it is asked the run is %s", f.Status())
	}
	f.Add(run.Fact{Seq: 3, Body: &run.TimerFired{Timer: "ok@timeout"}})
	if s, _ := f.Step("ok"); s.Status != runs.Failed || s.Form != nil || s.Error != "no answer within 1m" || s.Answer == nil || s.Answer.By != runs.ByTimeout || f.Status() != run.Running {
		t.Errorf("after its time: %+v, the run is %s", s, f.Status())
	}
}

// A wait and a call that no budget has room for are steps, though no fact names them.
func TestStepsWithoutFacts(t *testing.T) {
	p := simple()
	p.Callees[1] = types.Signature{Name: "wait", Use: "wait", Kind: types.Sleep, Effect: types.Do, Primary: "for", Result: types.Type{Kind: types.Nothing}}
	nodes := p.Blocks[0].Nodes
	nodes[1].Name, nodes[1].Call.Agent, nodes[1].Call.Text.Parts[0].Literal = "pause", "wait", "30s"
	nodes[2].Budget = []plan.Amount{{Tokens: 1}}
	nodes[2].Else = []plan.Fallback{{Kind: plan.Skip}}
	f := runs.Fold(p).Named("r")
	at := time.Unix(1000, 0).UTC()
	notes := f.Add(run.Fact{Seq: 1, At: at, Body: &run.Started{}})
	var kinds []run.NoteKind
	for _, n := range notes {
		kinds = append(kinds, n.Kind)
	}
	if diff := cmp.Diff([]run.NoteKind{run.NoteWaits, run.NoteFailed, run.NoteElse}, kinds); diff != "" {
		t.Error(diff)
	}
	want := runs.Step{Path: "pause", Agent: "wait", Status: runs.Asking, Attempts: 1, Started: at, Until: at.Add(30 * time.Second)}
	if s, _ := f.Step("pause"); s != want {
		t.Errorf("the wait is %+v, want %+v", s, want)
	}
	if s, _ := f.Step("notes"); s.Status != runs.Failed || s.Attempts != 0 || s.Agent != "reader" || s.Error == "" || s.Finished != at {
		t.Errorf("the call over budget is %+v", s)
	}
	f.Add(run.Fact{Seq: 2, At: at.Add(30 * time.Second), Body: &run.TimerFired{Timer: "pause"}})
	if s, _ := f.Step("pause"); s.Status != runs.Done || !s.Until.IsZero() || s.Finished != at.Add(30*time.Second) {
		t.Errorf("the wait is over and %+v", s)
	}
}
