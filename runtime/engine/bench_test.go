package engine_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// The shapes of the comparison with other engines: no-op steps in memory. Each benchmark runs its twin of plain goroutines beside the engine and reports
// how many times slower the engine is. "free" steps record their end only, "paid" steps their beginning too.

func BenchmarkChain1000(b *testing.B) {
	both(b, func(b *testing.B, noop types.Signature) {
		compare(b, 1000, 1, chain(noop, 1000), nil, func(a agent.Agent) { plainChain(a, 1000) })
	})
}

func BenchmarkMap10000(b *testing.B)  { benchmarkMap(b, 10_000) }
func BenchmarkMap100000(b *testing.B) { benchmarkMap(b, 100_000) }

func benchmarkMap(b *testing.B, n int) {
	items := make([]any, n)
	for i := range items {
		items[i] = "item " + strconv.Itoa(i)
	}
	both(b, func(b *testing.B, noop types.Signature) {
		compare(b, n, 1, fanOut(noop, 16), map[string]any{"items": items}, func(a agent.Agent) { plainMap(a, items, 16) })
	})
}

func BenchmarkDiamonds1000(b *testing.B) {
	both(b, func(b *testing.B, noop types.Signature) {
		compare(b, 10, 1000, diamond(noop), nil, func(a agent.Agent) { plainDiamond(a) })
	})
}

func both(b *testing.B, bench func(*testing.B, types.Signature)) {
	free := signature("noop")
	free.Effect, free.Free = types.Read, true
	paid := signature("noop")
	paid.Effect = types.Read
	b.Run("free", func(b *testing.B) { bench(b, free) })
	b.Run("paid", func(b *testing.B) { bench(b, paid) })
}

// compare times runs of a plan, and its twin, in turns.
func compare(b *testing.B, steps, concurrent int, p *plan.Plan, inputs map[string]any, twin func(agent.Agent)) {
	registry := agent.NewRegistry()
	noop := scripted{signatures: []types.Signature{p.Callees[0]}, call: func(_ context.Context, c *agent.Call) agent.Reply { return agent.Reply{Value: "x"} }}
	if err := registry.Register("noop", noop, nil); err != nil {
		b.Fatal(err)
	}
	served, _, _ := registry.Lookup("noop")
	var plain time.Duration
	b.ReportAllocs()
	for b.Loop() {
		e := engine.New(engine.Config{Store: memory.New(), Registry: registry})
		var group sync.WaitGroup
		for range concurrent {
			group.Go(func() {
				id, err := e.Start(b.Context(), p, inputs, run.Options{})
				if err != nil {
					b.Error(err)
					return
				}
				end, err := e.Wait(b.Context(), id)
				if err != nil || end.Status != run.Succeeded {
					b.Errorf("the run ended with %+v, %v", end, err)
				}
			})
		}
		group.Wait()
		if err := e.Close(b.Context()); err != nil {
			b.Error(err)
		}

		b.StopTimer()
		began := time.Now()
		for range concurrent {
			group.Go(func() { twin(served) })
		}
		group.Wait()
		plain += time.Since(began)
		b.StartTimer()
	}
	total := float64(steps*concurrent) * float64(b.N)
	b.ReportMetric(total/b.Elapsed().Seconds(), "steps/s")
	b.ReportMetric(b.Elapsed().Seconds()/total*1e6, "us/step")
	b.ReportMetric(b.Elapsed().Seconds()/plain.Seconds(), "x-plain")
}

func plainChain(a agent.Agent, n int) {
	var in chan string
	for i := range n {
		out := make(chan string, 1)
		go func(in chan string) {
			text := ""
			if in != nil {
				text = <-in
			}
			out <- plainCall(a, "s"+strconv.Itoa(i), text)
		}(in)
		in = out
	}
	<-in
}

func plainMap(a agent.Agent, items []any, limit int) {
	results := make([]string, len(items))
	slots := make(chan struct{}, limit)
	var group sync.WaitGroup
	for i, item := range items {
		slots <- struct{}{}
		group.Go(func() {
			results[i] = plainCall(a, "notes["+strconv.Itoa(i)+"]", item.(string))
			<-slots
		})
	}
	group.Wait()
}

func plainDiamond(a agent.Agent) {
	first := plainCall(a, "first", "")
	var parts [8]string
	var group sync.WaitGroup
	for i := range parts {
		group.Go(func() { parts[i] = plainCall(a, "p"+strconv.Itoa(i), first) })
	}
	group.Wait()
	plainCall(a, "last", fmt.Sprint(parts))
}

func plainCall(a agent.Agent, path, text string) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return a.Call(ctx, &agent.Call{Path: run.Path(path), Attempt: 1, Text: text}).Value.(string)
}

// scripted stands in for an agent of the world.
type scripted struct {
	signatures []types.Signature
	call       func(context.Context, *agent.Call) agent.Reply
}

func (s scripted) Signatures() []types.Signature                       { return s.signatures }
func (s scripted) Call(ctx context.Context, c *agent.Call) agent.Reply { return s.call(ctx, c) }

func signature(name string) types.Signature {
	text := types.Type{Kind: types.String}
	return types.Signature{
		Name: name, Use: name, Params: []types.Param{{Name: "text", Type: text}}, Primary: "text", Text: types.Text, Result: text,
		Effect: types.Read, Kind: types.Call,
	}
}

// ref is an expression that is only a name.
func ref(name string, depth, slot int) *plan.Expr {
	return &plan.Expr{Code: name, Path: []string{name}, Refs: []plan.Ref{{Name: name, Depth: depth, Slot: slot}}}
}

func callNode(name string, parts ...plan.Part) plan.Node {
	return plan.Node{
		Kind: plan.CallNode, Name: name, Type: types.Type{Kind: types.String}, Effect: types.Read,
		Call: &plan.Call{Agent: "noop", Text: &plan.Text{Parts: parts}},
	}
}

func chain(noop types.Signature, n int) *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Name: "chain", Callees: []types.Signature{noop}, Blocks: []plan.Block{{Value: n - 1, Parent: -1}}}
	for i := range n {
		node := callNode("s"+strconv.Itoa(i), plan.Part{Literal: "go"})
		if i > 0 {
			node = callNode("s"+strconv.Itoa(i), plan.Part{Literal: "after "}, plan.Part{Expr: ref("s"+strconv.Itoa(i-1), 0, i-1)})
			node.Needs = []plan.Need{{Slot: i - 1, Why: plan.Reference}}
		}
		p.Blocks[0].Nodes = append(p.Blocks[0].Nodes, node)
	}
	return p
}

func fanOut(noop types.Signature, limit int) *plan.Plan {
	text := types.Type{Kind: types.String}
	list := types.Type{Kind: types.List, Elem: &text}
	return &plan.Plan{
		Version: plan.Version, Name: "map", Callees: []types.Signature{noop},
		Inputs: []plan.Input{{Name: "items", Type: list, Required: true}},
		Blocks: []plan.Block{
			{Value: 0, Parent: -1, Binds: []string{"items"}, Nodes: []plan.Node{{
				Kind: plan.MapNode, Name: "notes", Type: list, Effect: types.Read, Map: &plan.Map{Over: *ref("items", 0, 1), Limit: limit, Into: -1, Block: 1},
			}}},
			{Value: 0, Parent: 0, Binds: []string{"item"}, Nodes: []plan.Node{callNode("", plan.Part{Literal: "do "}, plan.Part{Expr: ref("item", 0, 1)})}},
		},
	}
}

func diamond(noop types.Signature) *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Name: "diamond", Callees: []types.Signature{noop}, Blocks: []plan.Block{{Value: 9, Parent: -1}}}
	nodes := []plan.Node{callNode("first", plan.Part{Literal: "go"})}
	last := callNode("last")
	for i := range 8 {
		name := "p" + strconv.Itoa(i)
		node := callNode(name, plan.Part{Expr: ref("first", 0, 0)})
		node.Needs = []plan.Need{{Slot: 0, Why: plan.Reference}}
		nodes = append(nodes, node)
		last.Call.Text.Parts = append(last.Call.Text.Parts, plan.Part{Expr: ref(name, 0, i+1)})
		last.Needs = append(last.Needs, plan.Need{Slot: i + 1, Why: plan.Reference})
	}
	p.Blocks[0].Nodes = append(nodes, last)
	return p
}
