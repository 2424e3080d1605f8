package plan_test

import (
	"encoding/json"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// full is a small plan with a node of every kind.
func full() *plan.Plan {
	str := types.Type{Kind: types.String}
	num := types.Type{Kind: types.Int, Optional: true}
	list := types.Type{Kind: types.List, Elem: &str}
	at := source.Pos{File: "full.slop", Line: 3, Column: 1}
	value := func(code string, refs ...plan.Ref) plan.Node {
		e := &plan.Expr{Code: code, Refs: refs, At: at}
		n := plan.Node{Kind: plan.ValueNode, At: at, Type: str, Expr: e}
		return n
	}
	call := func(name string) plan.Node {
		return plan.Node{Kind: plan.CallNode, Name: name, At: at, Type: str, Effect: types.Think, Timeout: 90 * time.Second, Call: &plan.Call{
			Agent: "writer", Retry: 2, Wait: time.Second, Repair: 1,
			Text:   &plan.Text{At: at, Parts: []plan.Part{{Literal: "a <b> & "}, {Expr: &plan.Expr{Code: "topic", Path: []string{"topic"}, At: at, Refs: []plan.Ref{{Name: "topic", Slot: 12}}}}}},
			System: []plan.Text{{At: at, Parts: []plan.Part{{Literal: "plainly"}}}},
			Args:   []plan.Arg{{Name: "model", Value: plan.Expr{Code: `"opus"`, At: at}}},
		}}
	}
	ref := func(name string, depth, slot int) plan.Ref { return plan.Ref{Name: name, Depth: depth, Slot: slot} }
	need := func(slot int, why plan.Why) plan.Need { return plan.Need{Slot: slot, Why: why} }

	draft := call("draft")
	draft.Else = []plan.Fallback{{Kind: plan.BlockElse, Block: 1}, {Kind: plan.Skip}}
	gate := plan.Node{Kind: plan.RequireNode, At: at, Needs: []plan.Need{need(0, plan.Reference)},
		Expr:    &plan.Expr{Code: `draft != ""`, At: at, Refs: []plan.Ref{ref("draft", 0, 0)}},
		Message: &plan.Text{At: at, Parts: []plan.Part{{Literal: "empty"}}}}
	return &plan.Plan{
		Version: plan.Version,
		Name:    "full",
		Sources: []plan.Source{{Name: "full.slop", SHA256: "00", Text: "…"}},
		Inputs:  []plan.Input{{Name: "topic", Type: str, Default: json.RawMessage(`"tea"`), Musts: []types.Must{{Expr: "len(topic) > 0"}}}},
		Secrets: []string{"token"},
		Budget:  []plan.Amount{{Money: 500_000}},
		Callees: []types.Signature{{Name: "writer", Use: "claude", Primary: "prompt", Text: types.Prompt, Result: str, Effect: types.Think, Kind: types.Call,
			Price: &types.Price{Input: 3, Output: 15}, MaxOutput: 1000, Defaults: json.RawMessage(`{"model":"opus"}`)}},
		Output: str,
		Blocks: []plan.Block{
			{Parent: -1, Value: 11, Binds: []string{"topic"}, Nodes: []plan.Node{
				draft,
				gate,
				{Kind: plan.LetNode, Name: "xs", At: at, Type: list, Needs: []plan.Need{need(1, plan.Gate)}, Expr: &plan.Expr{Code: `["a", "b,]", text("c", 1)]`, At: at}},
				{Kind: plan.MapNode, Name: "notes", At: at, Type: list, Needs: []plan.Need{need(1, plan.Gate), need(2, plan.Reference)},
					Map: &plan.Map{Over: plan.Expr{Code: "xs", Path: []string{"xs"}, Refs: []plan.Ref{ref("xs", 0, 2)}, At: at}, Index: true, Limit: 8, Tolerate: &plan.Tolerate{Percent: 20}, Into: 4, Block: 2}},
				{Kind: plan.IntoNode, Name: "missed", At: at, Of: 3, Type: list, Needs: []plan.Need{need(3, plan.Reference)}},
				{Kind: plan.ReduceNode, Name: "report", At: at, Type: str, Needs: []plan.Need{need(3, plan.Reference)},
					Reduce: &plan.Reduce{Over: plan.Expr{Code: "notes", Path: []string{"notes"}, Refs: []plan.Ref{ref("notes", 0, 3)}, At: at}, By: 2, Block: 3}},
				{Kind: plan.ChoiceNode, Name: "either", At: at, Type: str, Choice: &plan.Choice{Branches: []plan.Branch{{Cond: plan.Expr{Code: "true", At: at}, Block: 4}}, Else: -1}},
				{Kind: plan.MatchNode, Name: "which", At: at, Type: num, Match: &plan.Match{Subject: plan.Expr{Code: "1", At: at}, Else: 6,
					Arms: []plan.Arm{{Values: []any{1, 3.0, "three", true, 2.5}, Block: 5}}}},
				{Kind: plan.LoopNode, Name: "poem", At: at, Type: str, Effect: types.Do, Budget: []plan.Amount{{Calls: 7}},
					Loop: &plan.Loop{From: plan.Expr{Code: `""`, At: at}, Max: 4, Block: 7, JudgeOnly: true},
					Else: []plan.Fallback{{Kind: plan.Fail, Message: &plan.Text{At: at, Parts: []plan.Part{{Literal: "no"}}}}}},
				{Kind: plan.RaceNode, Name: "first", At: at, Type: str, Race: &plan.Race{N: 1, Block: 8}},
				{Kind: plan.FlowNode, Name: "polish", At: at, Type: str, Flow: &plan.Flow{Name: "critique", Block: 9, Args: []*plan.Expr{nil},
					Inputs: []plan.Input{{Name: "n", Type: num}}}},
				{Kind: plan.GroupNode, At: at, Type: str, Group: &plan.Group{Kind: "parallel", Limit: 2, Block: 10}},
			}},
			{Parent: 0, Value: 0, Binds: []string{"error"}, Nodes: []plan.Node{value("error.message", plan.Ref{Name: "error", Slot: 1})}},
			{Parent: 0, Value: 0, Binds: []string{"f", "i"}, Nodes: []plan.Node{value("f", plan.Ref{Name: "f", Slot: 1})}},
			{Parent: 0, Value: 0, Binds: []string{"part"}, Nodes: []plan.Node{{Kind: plan.CallNode, At: at, Type: str, Call: &plan.Call{Agent: "writer",
				Words: []plan.Text{{At: at, Parts: []plan.Part{}}}}}}},
			{Parent: 0, Value: 0, Nodes: []plan.Node{value("1")}},
			{Parent: 0, Value: 0, Nodes: []plan.Node{value("1")}},
			{Parent: 0, Value: 0, Nodes: []plan.Node{value("1")}},
			{Parent: 0, Value: 2, Binds: []string{"v"}, Nodes: []plan.Node{
				{Kind: plan.CallNode, Name: "review", At: at, Type: str, Call: &plan.Call{Agent: "writer"}},
				{Kind: plan.StopNode, At: at, Needs: []plan.Need{need(0, plan.Reference), {Depth: 1, Slot: 0, Why: plan.Reference}},
					Expr: &plan.Expr{Code: "review == draft", At: at, Refs: []plan.Ref{ref("review", 0, 0), ref("draft", 1, 0)}}},
				{Kind: plan.CallNode, At: at, Type: str, Needs: []plan.Need{need(1, plan.Gate)}, Call: &plan.Call{Agent: "writer"}},
			}},
			{Parent: 0, Value: -1, Nodes: []plan.Node{{Kind: plan.CallNode, Name: "a", At: at, Type: str, Call: &plan.Call{Agent: "writer"}}}},
			{Parent: -1, Value: 0, Binds: []string{"n"}, Nodes: []plan.Node{value("n", plan.Ref{Name: "n", Slot: 1})}},
			{Parent: 0, Value: -1, Nodes: []plan.Node{{Kind: plan.LetNode, Name: "k", At: at, Type: num, Expr: &plan.Expr{Code: "7", At: at}}}},
		},
	}
}

func TestDecodeOfEncodeIsThePlan(t *testing.T) {
	p := full()
	if err := plan.Validate(p); err != nil {
		t.Fatal(err)
	}
	data := plan.Encode(p)
	q, err := plan.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, q); d != "" {
		t.Errorf("the decoded plan is another (-encoded +decoded):\n%s", d)
	}
	if again := plan.Encode(q); string(again) != string(data) {
		t.Errorf("encoded again:\n%s\nfirst:\n%s", again, data)
	}
	if plan.Hash(p) != plan.Hash(q) {
		t.Error("the same plan has two hashes")
	}
	if !strings.Contains(string(data), "a <b> & ") {
		t.Error("texts are HTML-escaped in the encoding")
	}
}

func TestTheHashKnowsEveryLetter(t *testing.T) {
	p, q := full(), full()
	q.Blocks[0].Nodes[0].Call.Text.Parts[0].Literal += "!"
	if plan.Hash(p) == plan.Hash(q) {
		t.Error("two plans with different prompts have one hash")
	}
}

func TestLiteralsKeepIntsAndFloatsApart(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{{3, "3"}, {3.0, "3.0"}, {0.1, "0.1"}, {1e30, "1e+30"}, {"a<b", `"a<b"`}, {nil, "null"}, {[]any{1, 2.0}, "[1,2.0]"}, {map[string]any{"b": true, "a": 1}, `{"a":1,"b":true}`}} {
		got, err := plan.Literal(c.value)
		if err != nil || string(got) != c.want {
			t.Errorf("Literal(%#v) = %s, %v; want %s", c.value, got, err, c.want)
		}
	}
	if _, err := plan.Literal(make(chan int)); err == nil {
		t.Error("a channel is written as a literal")
	}
}

// Spec: a damaged plan is refused when it is read; it never reaches a machine.
func TestValidateRefusesDamage(t *testing.T) {
	for name, damage := range map[string]func(p *plan.Plan){
		"no blocks":              func(p *plan.Plan) { p.Blocks = nil },
		"another version":        func(p *plan.Plan) { p.Version++ },
		"value out of range":     func(p *plan.Plan) { p.Blocks[0].Value = 99 },
		"value below -1":         func(p *plan.Plan) { p.Blocks[0].Value = -2 },
		"parent after its child": func(p *plan.Plan) { p.Blocks[1].Parent = 5 },
		"a block twice":          func(p *plan.Plan) { p.Blocks[0].Nodes[5].Reduce.Block = 2 },
		"a block nobody has":     func(p *plan.Plan) { p.Blocks = append(p.Blocks, plan.Block{Parent: 0, Value: -1}) },
		"a block within itself":  func(p *plan.Plan) { p.Blocks[0].Nodes[3].Map.Block = 0 },
		"too few binds":          func(p *plan.Plan) { p.Blocks[2].Binds = []string{"f"} },
		"inputs without names":   func(p *plan.Plan) { p.Blocks[0].Binds = nil },
		"callee out of range":    func(p *plan.Plan) { p.Blocks[0].Nodes[0].Call.Callee = 1 },
		"a tool that does more than its model": func(p *plan.Plan) {
			p.Callees[0].Tools = []types.Tool{{Name: "a.b", Effect: types.Do, Input: json.RawMessage("{}")}}
		},
		"a tool without a schema":      func(p *plan.Plan) { p.Callees[0].Tools = []types.Tool{{Name: "a.b", Effect: types.Read}} },
		"too many rounds":              func(p *plan.Plan) { p.Callees[0].Rounds = types.MaxRounds + 1 },
		"ref out of range":             func(p *plan.Plan) { p.Blocks[1].Nodes[0].Expr.Refs[0].Slot = 2 },
		"ref outside the flow":         func(p *plan.Plan) { p.Blocks[9].Nodes[0].Expr.Refs[0].Depth = 1 },
		"ref nobody waits for":         func(p *plan.Plan) { p.Blocks[0].Nodes[1].Needs = nil },
		"need out of range":            func(p *plan.Plan) { p.Blocks[0].Nodes[1].Needs[0].Slot = 12 },
		"need for no reason":           func(p *plan.Plan) { p.Blocks[0].Nodes[1].Needs[0].Why = "" },
		"a node that waits for itself": func(p *plan.Plan) { p.Blocks[0].Nodes[1].Needs[0].Slot = 1 },
		"a cycle through a body": func(p *plan.Plan) {
			n := &p.Blocks[7].Nodes[0]
			n.Needs = append(n.Needs, plan.Need{Depth: 1, Slot: 9, Why: plan.After})
			m := &p.Blocks[0].Nodes[9]
			m.Needs = append(m.Needs, plan.Need{Slot: 8, Why: plan.Order})
		},
		"an empty node":       func(p *plan.Plan) { p.Blocks[0].Nodes[0].Call = nil },
		"two contents":        func(p *plan.Plan) { p.Blocks[0].Nodes[0].Race = &plan.Race{} },
		"an unknown kind":     func(p *plan.Plan) { p.Blocks[0].Nodes[0].Kind = "dance" },
		"into of nothing":     func(p *plan.Plan) { p.Blocks[0].Nodes[4].Of = 5 },
		"into nothing":        func(p *plan.Plan) { p.Blocks[0].Nodes[3].Map.Into = 5 },
		"no rounds":           func(p *plan.Plan) { p.Blocks[0].Nodes[8].Loop.Max = 0 },
		"a reduce by one":     func(p *plan.Plan) { p.Blocks[0].Nodes[5].Reduce.By = 1 },
		"race of too many":    func(p *plan.Plan) { p.Blocks[0].Nodes[9].Race.N = 2 },
		"keep of a call":      func(p *plan.Plan) { p.Blocks[0].Nodes[0].Else[1].Kind = plan.Keep },
		"fail without a word": func(p *plan.Plan) { p.Blocks[0].Nodes[8].Else[0].Message = nil },
		"a negative timeout":  func(p *plan.Plan) { p.Blocks[0].Nodes[0].Timeout = -1 },
		"a list of nothing":   func(p *plan.Plan) { p.Output = types.Type{Kind: types.List} },
		"too few arguments":   func(p *plan.Plan) { p.Blocks[0].Nodes[10].Flow.Args = nil },
		"a flow with parents": func(p *plan.Plan) { p.Blocks[9].Parent = 0 },
	} {
		p := full()
		damage(p)
		if plan.Validate(p) == nil {
			t.Errorf("%s: the plan passes", name)
			continue
		}
		if name == "another version" || name == "no blocks" {
			continue
		}
		if _, err := plan.Decode(plan.Encode(p)); err == nil {
			t.Errorf("%s: the plan is decoded", name)
		}
	}
}

func TestDecodeRefusesWhatItDoesNotKnow(t *testing.T) {
	data := string(plan.Encode(full()))
	for name, text := range map[string]string{
		"nothing":        "",
		"no JSON":        "plan",
		"another shape":  "[]",
		"a new version":  strings.Replace(data, `"version":1`, `"version":2`, 1),
		"a new field":    strings.Replace(data, `"version":1`, `"version":1,"colour":"red"`, 1),
		"more behind it": data + "{}",
	} {
		if _, err := plan.Decode([]byte(text)); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func TestWords(t *testing.T) {
	x := &plan.Expr{Code: "x"}
	lit := func(s string) plan.Part { return plan.Part{Literal: s} }
	val := plan.Part{Expr: x}
	for _, c := range []struct {
		name  string
		parts []plan.Part
		want  string // words between bars, a value as $
		open  bool
	}{
		{"blanks", []plan.Part{lit(" grep  -c\tword\nnotes.txt ")}, "grep|-c|word|notes.txt", false},
		{"a value is one word", []plan.Part{lit("grep -c "), val, lit(" notes.txt")}, "grep|-c|$|notes.txt", false},
		{"or part of one", []plan.Part{lit("cp a/"), val, lit(".txt 'b "), val, lit("'")}, "cp|a/$.txt|b $", false},
		{"two values side by side", []plan.Part{val, val, lit(" "), val}, "$$|$", false},
		{"quotes", []plan.Part{lit(`echo "a b" 'c "d"' "e 'f'" ''`)}, `echo|a b|c "d"|e 'f'|`, false},
		{"backslashes", []plan.Part{lit(`a\ b "c\"d\n" 'e\f' \"`)}, `a b|c"d\n|e\f|"`, false},
		{"nothing is expanded", []plan.Part{lit("echo $HOME *.txt ~ a|b >c")}, "echo|$HOME|*.txt|~|a|b|>c", false},
		{"an open quote", []plan.Part{lit(`echo "a b`)}, "echo|a b", true},
		{"a last backslash", []plan.Part{lit(`echo a\`)}, `echo|a\`, true},
		{"nothing", []plan.Part{lit("  ")}, "", false},
	} {
		words, closed := plan.Words(plan.Text{Parts: c.parts})
		var got []string
		for _, w := range words {
			s := ""
			for _, p := range w.Parts {
				if p.Expr != nil {
					s += "$"
				} else {
					s += p.Literal
				}
			}
			got = append(got, s)
		}
		if strings.Join(got, "|") != c.want || closed == c.open {
			t.Errorf("%s: got %q closed %v, want %q closed %v", c.name, strings.Join(got, "|"), closed, c.want, !c.open)
		}
	}
}

func TestWorst(t *testing.T) {
	w := plan.Worst(full())
	// draft 3 attempts × 2 rounds of repair, reduce of 3 by 2: one merge of two and one of the two left; the loop judges four times and repairs three; the race one.
	if want := int64(6 + 2 + 4 + 3 + 1); w.Calls != want || !w.CallsKnown {
		t.Errorf("%d calls (known %v), want %d", w.Calls, w.CallsKnown, want)
	}
	if !w.MoneyKnown || w.Money < 16*15_000 || w.Money > 17*15_000 {
		t.Errorf("%v (known %v) for 16 calls of at most 1000 tokens at $15 a million", w.Money, w.MoneyKnown)
	}

	p := full()
	p.Blocks[0].Nodes[2].Expr.Code = "concat([1], topic)"
	if w := plan.Worst(p); w.CallsKnown {
		t.Error("the calls of a reduce over a list of unknown length are known")
	}
	p = full()
	p.Callees[0].Price = nil
	if w := plan.Worst(p); w.MoneyKnown || !w.CallsKnown {
		t.Error("a model without a price has a known cost")
	}
	p = full()
	p.Callees[0].Prices = map[string]types.Price{"opus": {Output: 30}}
	if w := plan.Worst(p); !w.MoneyKnown || w.Money < 6*30_000+10*15_000 {
		t.Errorf("the price of the model that is named does not count: %+v", w)
	}
	p.Callees[0].Prices = map[string]types.Price{"other": {Output: 30}}
	if w := plan.Worst(p); w.MoneyKnown {
		t.Errorf("a model without a price has a known cost: %+v", w)
	}
	p.Callees[0].Free = true
	if w := plan.Worst(p); w.Calls != 0 || !w.MoneyKnown {
		t.Errorf("free calls count: %+v", w)
	}
	p = full()
	p.Blocks[0].Nodes[8].Loop.Max = 1 << 30
	p.Blocks[7].Nodes[0].Call.Retry = 1 << 30
	p.Blocks[7].Nodes[0].Call.Repair = 1 << 30
	if w := plan.Worst(p); w.Calls <= 0 {
		t.Errorf("the sum ran over: %d", w.Calls)
	}
}

func TestAmountsReadAsScriptsWriteThem(t *testing.T) {
	for _, c := range []struct {
		a    plan.Amount
		want string
	}{
		{plan.Amount{Money: 500_000}, "$0.50"}, {plan.Amount{Money: 125}, "$0.000125"}, {plan.Amount{Money: 2_000_000}, "$2.00"},
		{plan.Amount{Tokens: 5000}, "5000 tokens"}, {plan.Amount{Calls: 20}, "20 calls"},
		{plan.Amount{Duration: 48 * time.Hour}, "2d"}, {plan.Amount{Duration: 90 * time.Second}, "90s"}, {plan.Amount{Duration: 500 * time.Millisecond}, "500ms"},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("%+v is written %q, want %q", c.a, got, c.want)
		}
	}
}

// A plan with random bytes changed is refused or valid: whatever Decode returns can be validated, printed, counted and encoded again to the same bytes.
func FuzzDecode(f *testing.F) {
	data := plan.Encode(full())
	f.Add(data)
	dice := rand.New(rand.NewSource(1))
	for range 40 {
		d := append([]byte(nil), data...)
		d[dice.Intn(len(d))] = byte('0' + dice.Intn(10))
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := plan.Decode(data)
		if err != nil {
			return
		}
		plan.Worst(p)
		plan.Print(p)
		once := plan.Encode(p)
		q, err := plan.Decode(once)
		if err != nil {
			t.Fatalf("an encoded plan is not decoded: %v\n%s", err, once)
		}
		if twice := plan.Encode(q); string(twice) != string(once) {
			t.Errorf("the encoding is not settled:\n%s\n%s", once, twice)
		}
	})
}
