package spec_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/stdlib/flows"
)

const flowsFile = "flows.md"

func withStandardFlows() types.Scope {
	scope := langtest.Scope()
	scope.Load = func(_, use string) (string, string, error) { return flows.Load(use) }
	return scope
}

// The page names every flow that comes with the language, with the inputs that it really has. `make golden` writes them.
func TestThePageOfFlowsKnowsTheirInputs(t *testing.T) {
	text, err := os.ReadFile(flowsFile)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, name := range flows.Names() {
		open := "<!-- " + name + " -->\n"
		before, rest, ok := strings.Cut(page, open)
		_, after, closed := strings.Cut(rest, "<!-- end -->")
		if !ok || !closed {
			t.Errorf("%s says nothing of %s", flowsFile, name)
			continue
		}
		page = before + open + inputsOf(t, name) + "<!-- end -->" + after
	}
	if page == string(text) {
		return
	}
	if os.Getenv("SLOP_GOLDEN") == "" {
		t.Fatalf("%s does not say what the flows ask for; run make golden", flowsFile)
	}
	if err := os.WriteFile(flowsFile, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

func inputsOf(t *testing.T, name string) string {
	file, text, err := flows.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	src := source.NewFile(file, text)
	info, diags := lang.Check(src, withStandardFlows())
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var b strings.Builder
	b.WriteString("\n| input | type | left out |\n|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, in := range info.Inputs {
		left := "must be given"
		if e := in.Input.Default; e != nil {
			left = "`" + strings.Join(strings.Fields(src.Slice(e.At)), " ") + "`"
		} else if in.Type.Optional {
			left = "nothing"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", in.Name, "`"+cell.Replace(strings.TrimSpace(src.Slice(in.Input.Type.At)))+"`", cell.Replace(left))
	}
	seen := map[string]bool{}
	for _, in := range info.Inputs {
		of := in.Type
		if of.Kind == types.List {
			of = of.Item()
		}
		if of.Kind != types.Record || of.Name == "" || seen[of.Name] {
			continue
		}
		seen[of.Name] = true
		fmt.Fprintf(&b, "\n`%s`: ", of.Name)
		for i, f := range of.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			kind := f.Type
			kind.Optional = false
			fmt.Fprintf(&b, "`%s` %s", f.Name, kind)
			if f.Type.Optional {
				b.WriteString(" (may be left out)")
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nIt gives `%s`.\n\n", info.Output)
	return b.String()
}

// Every example of the page compiles as it stands, and is written as the formatter writes it.
func TestExamplesOfThePageOfFlows(t *testing.T) {
	text, err := os.ReadFile(flowsFile)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```slop\n(.*?)^```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) <= len(flows.Names()) {
		t.Errorf("%d examples for %d flows", len(blocks), len(flows.Names()))
	}
	for _, b := range blocks {
		src := source.NewFile("example.slop", b[1])
		if p, diags := lang.Compile(src, withStandardFlows()); p == nil || len(diags) > 0 {
			var said strings.Builder
			diag.Print(&said, diags, false)
			t.Errorf("this example has something to mend:\n%s\n%s", b[1], said.String())
			continue
		}
		if file, _ := syntax.Parse(src); string(format.File(file)) != b[1] {
			t.Errorf("slop fmt writes this example as\n%s", format.File(file))
		}
	}
}
