package hosttest

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// JSON runs the archives of a folder that hold a definition: workflow.json, or the request of a pattern, such as map-reduce.json. Each says what is reported of it (out/diag), the
// script it becomes (out/script), and, when it has agents, what comes out (out/result).
func JSON(t *testing.T, folder string) {
	for _, a := range langtest.Read(t, folder) {
		t.Run(a.Name(), func(t *testing.T) {
			p, flow, diags := CompileJSON(t, a)
			var said strings.Builder
			diag.Print(&said, diags, false)
			if _, quiet := a.Part("out/diag"); quiet || said.Len() > 0 {
				a.Expect(t, "out/diag", said.String())
			}
			if flow != nil {
				a.Expect(t, "out/script", flow.Script.Text)
			}
			_, agents := a.Part("agents")
			if p == nil || !agents {
				return
			}
			synctest.Test(t, func(t *testing.T) {
				s := stage{t: t, archive: a}
				s.perform(p)
				if _, history := a.Part("out/history"); history {
					a.Expect(t, "out/history", s.history())
				}
				a.Expect(t, "out/result", s.result())
			})
		})
	}
}

// CompileJSON makes a plan of the definition in an archive, with the flows that come with the language.
func CompileJSON(t testing.TB, a *langtest.Archive) (*plan.Plan, *jsonflow.Flow, diag.List) {
	scope := langtest.Files(langtest.Scope(), a.Files)
	files := scope.Load
	scope.Load = func(from, use string) (string, string, error) {
		if name, text, ok := langtest.Standard("../..", use); ok {
			return name, text, nil
		}
		return files(from, use)
	}
	flow, diags := definition(t, a, scope)
	if flow == nil {
		return nil, nil, diags
	}
	p, more := lang.Compile(flow.Script, scope)
	return p, flow, append(diags, flow.Place(more)...)
}

func definition(t testing.TB, a *langtest.Archive, scope types.Scope) (*jsonflow.Flow, diag.List) {
	if text, ok := a.Part("workflow.json"); ok {
		return jsonflow.Workflow(source.NewFile("workflow.json", strings.TrimSpace(text)), scope)
	}
	for _, pattern := range jsonflow.Patterns {
		if text, ok := a.Part(pattern + ".json"); ok {
			return jsonflow.Orchestrate(pattern, source.NewFile(pattern+".json", strings.TrimSpace(text)), scope)
		}
	}
	t.Fatalf("%s holds no definition", a.Path)
	return nil, nil
}
