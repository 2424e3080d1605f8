package graph_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/graph"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
)

// scripts are all examples, and one that has everything.
func scripts(t *testing.T) map[string]*plan.Plan {
	t.Helper()
	names, err := filepath.Glob("../../examples/*.slop")
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, "testdata/everything.slop")
	out := map[string]*plan.Plan{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		scope := langtest.Scope()
		scope.Load = func(_, use string) (string, string, error) {
			if name, text, ok := langtest.Standard("../..", use); ok {
				return name, text, nil
			}
			text, err := os.ReadFile(filepath.Join(filepath.Dir(name), use))
			return use, string(text), err
		}
		p, diags := lang.Compile(source.NewFile(base, string(text)), scope)
		if p == nil {
			t.Fatalf("%s does not compile: %v", name, diags)
		}
		out[strings.TrimSuffix(base, ".slop")] = p
	}
	return out
}

// The drawings of three scripts, read once by a person.
func TestDrawings(t *testing.T) {
	plans := scripts(t)
	for _, c := range []struct {
		script, ext string
		draw        func(*plan.Plan) string
	}{
		{"band", "mermaid", graph.Mermaid}, {"band", "dot", graph.DOT}, {"band", "txt", graph.ASCII}, {"band", "json", asJSON},
		{"publish", "txt", graph.ASCII}, {"poem", "txt", graph.ASCII}, {"names", "txt", graph.ASCII}, {"tour", "txt", graph.ASCII}, {"weather", "txt", graph.ASCII}, {"digest", "txt", graph.ASCII}, {"triage", "txt", graph.ASCII},
		{"everything", "mermaid", graph.Mermaid}, {"everything", "dot", graph.DOT}, {"everything", "txt", graph.ASCII},
	} {
		name := filepath.Join("testdata", c.script+"."+c.ext)
		got := c.draw(plans[c.script])
		want, err := os.ReadFile(name)
		if err == nil && string(want) == got {
			continue
		}
		if os.Getenv("SLOP_GOLDEN") != "" {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s is another drawing (-want +got):\n%s", name, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
	}
}

func asJSON(p *plan.Plan) string {
	data, err := graph.JSON(p)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Every edge joins two nodes that are there, and every node has an ID of its own.
func TestEdgesJoinNodes(t *testing.T) {
	for name, p := range scripts(t) {
		var g graph.Graph
		if err := json.Unmarshal([]byte(asJSON(p)), &g); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids := map[string]bool{}
		var collect func(nodes []*graph.Node)
		collect = func(nodes []*graph.Node) {
			for _, n := range nodes {
				if ids[n.ID] {
					t.Errorf("%s: two nodes are %q", name, n.ID)
				}
				ids[n.ID] = true
				for _, b := range n.Blocks {
					collect(b.Nodes)
				}
			}
		}
		collect(g.Nodes)
		for _, e := range g.Edges {
			if !ids[e.From] || !ids[e.To] || e.Why == "" {
				t.Errorf("%s: an edge from %q to %q for the reason %q", name, e.From, e.To, e.Why)
			}
		}
	}
}

// In the drawing for terminals a line stands below all that it waits for.
func TestArrowsPointDown(t *testing.T) {
	for name, p := range scripts(t) {
		lines := strings.Split(graph.ASCII(p), "\n")
		at := map[string]int{}
		for i, l := range lines {
			for _, w := range strings.Fields(l) {
				if w = strings.Trim(w, "│┌└↓"); w != "" {
					if _, seen := at[w]; !seen {
						at[w] = i
					}
				}
			}
		}
		for _, n := range p.Blocks[0].Nodes {
			for _, need := range n.Needs {
				from := p.Blocks[0].Nodes[need.Slot].Name
				if need.Depth == 0 && from != "" && n.Name != "" && at[from] >= at[n.Name] {
					t.Errorf("%s: %s stands above %s, which it waits for:\n%s", name, n.Name, from, strings.Join(lines, "\n"))
				}
			}
		}
	}
}
