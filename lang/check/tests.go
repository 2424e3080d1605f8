package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// checkTests checks the `test` blocks against the flow they try.
func (c *checker) checkTests() {
	if len(c.info.Tests) == 0 {
		return
	}
	called := c.reach(nil)
	names := map[string]bool{}
	for _, t := range c.info.Tests {
		if t.Name != nil {
			name, plain := t.Name.Plain()
			if !plain {
				c.plainText(t.Name, "the name of a test")
			}
			if names[name] {
				c.add(diag.Diagnostic{Code: "E0104", Span: t.Name.At, Message: fmt.Sprintf("there are two tests named %q", name), Label: "the second one: give it a name of its own"})
			}
			names[name] = true
		}
		c.checkTest(t, called)
	}
}

func (c *checker) checkTest(t *syntax.Test, called map[string]*Call) {
	mocked, given := map[string]bool{}, map[string]bool{}
	none := &Block{Value: -1, names: map[string]*Decl{}}
	for _, line := range t.Lines {
		switch line := line.(type) {
		case *syntax.Given:
			c.checkGiven(line, none, given)
		case *syntax.Mock:
			c.mocks(line.Callee, called)
			mocked[line.Callee.String()] = true
			for _, e := range line.Answers {
				c.checkAnswer(e, line.Callee, called, none)
			}
		case *syntax.FailMock:
			c.mocks(line.Callee, called)
			mocked[line.Callee.String()] = true
			if line.Message != nil {
				c.plainText(line.Message, "the message of a failure")
			}
		case *syntax.Expect:
			if line.Fail != nil {
				c.plainText(line.Fail, "what a failure is expected to say")
			} else {
				c.checkExpect(line.Cond)
			}
		}
	}
	c.missingGivens(t, given)
	c.unmocked(t, mocked)
}

// reach gathers whom a test can come to call, in this file and in the flows it uses, without entering the mocked ones.
func (c *checker) reach(mocked map[string]bool) map[string]*Call {
	called := map[string]*Call{}
	seen := map[*Info]bool{}
	var visit func(info *Info)
	visit = func(info *Info) {
		if seen[info] {
			return
		}
		seen[info] = true
		for name, t := range c.distinct(info) {
			called[name] = t
			if t.Flow != nil && !mocked[name] {
				visit(t.Flow)
			}
		}
	}
	visit(c.info)
	if slices.ContainsFunc(c.info.Inputs, func(in *Decl) bool { return types.HoldsAgent(in.Type) }) {
		for _, name := range c.info.Lent {
			if called[name] == nil {
				called[name] = &Call{Signature: c.signature(name), lent: true}
			}
		}
	}
	return called
}

// distinct are the callees of a file as written, each once.
func (s *session) distinct(info *Info) map[string]*Call {
	if s.callees == nil {
		s.callees = map[*Info]map[string]*Call{}
	}
	names := s.callees[info]
	if names == nil {
		names = map[string]*Call{}
		for call, t := range info.Calls {
			if name := call.Callee.String(); t.Agent == nil && (names[name] == nil || !t.lent) { // of a value a test knows the agents
				names[name] = t
			}
		}
		s.callees[info] = names
	}
	return names
}

func (c *checker) mocks(callee syntax.Callee, called map[string]*Call) {
	name := callee.String()
	if called[name] != nil || c.broken[callee.Agent.Text] || len(c.broken) > 0 {
		return
	}
	if c.unresolved()[name] || c.full() {
		return // the call was reported
	}
	all := slices.Sorted(maps.Keys(called))
	d := diag.Diagnostic{Code: "E0129", Span: callee.At, Message: fmt.Sprintf("the flow never calls `%s`", name), Label: "this line would have no effect"}
	if near, ok := diag.Nearest(name, all); ok {
		d.Label = fmt.Sprintf("did you mean `%s`?", near)
		d.Fix = &diag.Fix{Span: callee.At, Text: near}
	}
	if len(all) > 0 {
		d.Help = []string{"it calls: " + strings.Join(diag.NearestN(name, all, 8), ", ")}
	}
	c.add(d)
}

// unresolved are the callees that the flow calls and nobody knows.
func (c *checker) unresolved() names {
	if c.strangers != nil {
		return c.strangers
	}
	c.strangers = names{}
	for _, b := range c.order {
		for _, n := range b.Nodes {
			if call := callOf(n); call != nil && c.info.Calls[call] == nil {
				c.strangers.add(call.Callee.String())
			}
		}
	}
	return c.strangers
}

func (c *checker) checkGiven(line *syntax.Given, none *Block, given map[string]bool) {
	c.resolveExpr(line.Value, place{block: none, agents: true})
	k := c.typeExpr(line.Value)
	var names []string
	for _, in := range c.info.Inputs {
		names = append(names, in.Name)
		if in.Name != line.Name.Text {
			continue
		}
		if given[in.Name] {
			c.add(diag.Diagnostic{Code: "E0129", Span: line.Name.At, Message: fmt.Sprintf("`%s` is given twice in this test", in.Name), Label: "once is enough"})
		}
		given[in.Name] = true
		if k.bad || in.bad {
			return
		}
		if problem, ok := c.reads(line.Value, k, in.Type); !ok {
			c.add(diag.Diagnostic{
				Code: "E0129", Span: line.Value.At, Message: fmt.Sprintf("the input `%s` is to be %s", in.Name, article(in.Type)), Label: problem,
				Related: c.related(in.At, "the input is here"),
			})
		}
		return
	}
	if c.broken[line.Name.Text] {
		return
	}
	d := diag.Diagnostic{Code: "E0129", Span: line.Name.At, Message: fmt.Sprintf("the flow has no input `%s`", line.Name.Text), Label: "this line would have no effect"}
	if near, ok := diag.Nearest(line.Name.Text, names); ok {
		d.Label = fmt.Sprintf("did you mean `%s`?", near)
		d.Fix = &diag.Fix{Span: line.Name.At, Text: near}
	}
	if len(names) > 0 {
		d.Help = []string{"its inputs: " + strings.Join(diag.NearestN(line.Name.Text, names, 8), ", ")}
	} else {
		d.Help = []string{"it has no inputs"}
	}
	c.add(d)
}

func containsFile(t types.Type) bool {
	switch t.Kind {
	case types.File:
		return true
	case types.List:
		return containsFile(t.Item())
	case types.Record:
		for _, f := range t.Fields {
			if containsFile(f.Type) {
				return true
			}
		}
	}
	return false
}

// checkAnswer checks what a mock answers against what the agent gives wherever it is called.
func (c *checker) checkAnswer(e *syntax.Expr, callee syntax.Callee, called map[string]*Call, none *Block) {
	c.resolveExpr(e, place{block: none})
	k := c.typeExpr(e)
	t := called[callee.String()]
	if k.bad || t == nil || t.lent {
		return
	}
	if c.answers == nil {
		c.answers = map[string][]types.Type{}
		for _, site := range c.calls {
			c.answer(site.call.Callee.String(), c.info.Calls[site.call])
		}
	}
	want := c.answers[callee.String()]
	problem := ""
	for _, w := range want {
		p, ok := c.reads(e, k, w)
		if ok {
			return
		}
		if problem == "" {
			problem = p
		}
	}
	if problem != "" {
		c.add(diag.Diagnostic{
			Code: "E0129", Span: e.At, Message: fmt.Sprintf("`%s` never answers like this", callee), Label: problem, Help: []string{"it gives " + spelled(want[0])},
		})
	}
}

// spelled is a type with its fields, also when it has a name.
func spelled(t types.Type) string {
	if t.Name == "" || t.Kind != types.Record {
		return t.String()
	}
	name := t.Name
	t.Name, t.Optional = "", false
	return name + ": " + t.String()
}

// answer notes a type that a callee gives, each once.
func (c *checker) answer(callee string, t *Call) {
	of := types.Type{}
	switch {
	case t.lent: // whoever calls it says what it is to give
	case t.Flow != nil:
		of = t.Flow.Output
	case t.As != nil:
		of = *t.As
	default:
		of = t.Signature.Result
	}
	for _, known := range c.answers[callee] {
		if types.Same(known, of) {
			return
		}
	}
	c.answers[callee] = append(c.answers[callee], of)
}

// reads reports whether a value of a test is read as the type, and else what is wrong with it. Files are not looked at: a test gives them by their fields.
func (c *checker) reads(e *syntax.Expr, k known, t types.Type) (problem string, ok bool) {
	if containsFile(t) {
		return "", true
	}
	if _, named := c.firstName(e); named {
		return fmt.Sprintf("this is %s", article(k.Type)), k.Fits(leaveOut(t, k.Precise()))
	}
	value, err := evaluate(c.codeOf(e), nil)
	if err != nil {
		return err.Error(), false
	}
	_, problems := eval.Read(t, value)
	if len(problems) > 0 {
		return problems[0], false
	}
	return "", true
}

// checkExpect checks the condition of an `expect`: over the output and the inputs.
func (c *checker) checkExpect(e *syntax.Expr) {
	scope := &Block{Value: -1, names: map[string]*Decl{}}
	for _, in := range c.info.Inputs {
		scope.names[in.Name] = in
	}
	out := &Decl{Name: "output", File: c.file, Block: scope, Slot: -1, Type: c.info.Output, bad: c.info.Root.bad}
	scope.names["output"] = out
	before := len(*c.diags)
	c.resolveExpr(e, place{block: scope, quiet: true})
	c.condition(e, "expect")
	// A field that the output lacks is a mistake of the test.
	for i := before; i < len(*c.diags); i++ {
		if d := &(*c.diags)[i]; d.Code == "E0109" {
			d.Code = "E0129"
		}
	}
}

func (c *checker) missingGivens(t *syntax.Test, given map[string]bool) {
	var names []string
	for _, in := range c.info.Inputs {
		if in.required() && !given[in.Name] {
			names = append(names, in.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	c.add(diag.Diagnostic{
		Code: "E0129", Span: firstLine(c.src, t.At), Message: fmt.Sprintf("this test does not say what %s is", quoted(names)), Label: "an input without a default",
		Help: []string{fmt.Sprintf("add `given %s = …`", names[0])},
	})
}

// unmocked reports agents that would change the world during a test.
func (c *checker) unmocked(t *syntax.Test, mocked map[string]bool) {
	reach := c.reach(mocked)
	var open []string
	for _, name := range slices.Sorted(maps.Keys(reach)) {
		sig := reach[name].Signature
		if sig != nil && !mocked[name] && effectOf(sig) == types.Do && !sig.Free && sig.Kind != types.Sleep {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return
	}
	c.add(diag.Diagnostic{
		Code: "E0129", Span: firstLine(c.src, t.At), Message: fmt.Sprintf("in this test %s would really be called", quoted(open)), Label: "a test changes nothing in the world",
		Help: []string{fmt.Sprintf("add `mock %s -> …`", open[0])},
	})
}
