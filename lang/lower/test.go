package lower

import (
	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/syntax"
)

// Tests are the `test` blocks of a script. Names in their expressions have no slots: they are the inputs, and `output`.
func Tests(info *check.Info) []plan.Test {
	f := &flow{info: info, src: info.File.Source}
	var tests []plan.Test
	for _, t := range info.Tests {
		name, _ := t.Name.Plain()
		out := plan.Test{Name: name, At: f.pos(t.At)}
		for _, line := range t.Lines {
			out.Lines = append(out.Lines, f.testLine(line))
		}
		tests = append(tests, out)
	}
	return tests
}

func (f *flow) testLine(line syntax.TestLine) plan.TestLine {
	out := plan.TestLine{At: f.pos(line.Span())}
	switch line := line.(type) {
	case *syntax.Given:
		out.Kind, out.Name = "given", line.Name.Text
		out.Exprs = []plan.Expr{f.free(line.Value)}
	case *syntax.Mock:
		out.Kind, out.Name = "mock", line.Callee.String()
		for _, e := range line.Answers {
			out.Exprs = append(out.Exprs, f.free(e))
		}
	case *syntax.FailMock:
		out.Kind, out.Name = "fail", line.Callee.String()
		out.Message, _ = line.Message.Plain()
	case *syntax.Expect:
		if line.Fail != nil {
			out.Kind = "expect fail"
			out.Message, _ = line.Fail.Plain()
			return out
		}
		out.Kind = "expect"
		out.Exprs = []plan.Expr{f.free(line.Cond)}
	}
	return out
}

func (f *flow) free(e *syntax.Expr) plan.Expr {
	return plan.Expr{Code: f.code(e), Path: f.path(e), At: f.pos(e.At)}
}
