package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// Clauses by kind of step (spec/language.md, end of section 3).
var (
	blockClauses  = []syntax.ClauseKind{syntax.AfterClause, syntax.TimeoutClause, syntax.BudgetClause, syntax.ElseClause}
	branchClauses = []syntax.ClauseKind{syntax.AfterClause, syntax.TimeoutClause, syntax.BudgetClause}
)

// checkClauses checks that the clauses of a step can apply and do not contradict each other.
func (c *checker) checkClauses(n *Node) {
	clauses := Clauses(n.Step)
	if m, ok := n.Step.(*syntax.Map); ok {
		c.checkMap(m)
	}
	if g, ok := n.Step.(*syntax.Group); ok && g.Limit > 0 && g.Kind != syntax.Parallel {
		c.add(diag.Diagnostic{Code: "E0128", Span: firstLine(c.src, g.At), Message: fmt.Sprintf("`limit` cannot stand behind `%s`", g.Kind), Label: "only `parallel` and `map` have a limit"})
	}
	if len(clauses) == 0 {
		return
	}
	call := callOf(n)
	_, loop := n.Step.(*syntax.Loop)
	seen := map[string]source.Span{}
	last := "" // the word of an else after which no other can come
	for i := range clauses {
		clause := &clauses[i]
		if clause.Kind != syntax.ElseClause {
			c.twice(clause, seen)
		} else if last != "" {
			label := fmt.Sprintf("`%s` before it always works out", last)
			if last == "else fail" {
				label = "`else fail` before it is where the step ends"
			}
			c.add(diag.Diagnostic{Code: "E0128", Span: firstLine(c.src, clause.At), Message: "this `else` can never be tried", Label: label})
		}
		if call != nil {
			if t := c.info.Calls[call]; t != nil {
				c.clauseFits(clause, call, t)
			}
		} else {
			c.clauseOfBlock(clause, n, loop)
		}
		if f := clause.Fallback; f != nil {
			switch {
			case f.Skip:
				last = "else skip"
			case f.Keep:
				last = "else keep"
			case f.Fail != nil:
				last = "else fail"
			case f.Text != nil:
				last = "else \"…\""
			}
			if f.Keep && !loop {
				c.add(diag.Diagnostic{
					Code: "E0128", Span: firstLine(c.src, clause.At), Message: "`keep` belongs to a loop", Label: "there is no last value to keep here",
					Help: []string{"`else skip` goes on with nothing, `else \"…\"` with a text"},
				})
			}
		}
	}
}

// twice reports a clause that stands behind a step already. Budgets may stand beside each other when they count different things.
func (c *checker) twice(clause *syntax.Clause, seen map[string]source.Span) {
	key := string(clause.Kind)
	d := diag.Diagnostic{Code: "E0128", Span: firstLine(c.src, clause.At), Message: fmt.Sprintf("`%s` is written twice", clause.Kind), Label: "one of them would be ignored"}
	switch clause.Kind {
	case syntax.AfterClause:
		return
	case syntax.BudgetClause:
		key += unit(clause.Amount)
		d.Message, d.Label = "the budget of the step is there twice", "the smaller one would hold, whatever this says"
	}
	if first, ok := seen[key]; ok {
		d.Related = c.related(firstLine(c.src, first), "the first time is here")
		c.add(d)
		return
	}
	seen[key] = clause.At
}

// clauseFits checks a clause of a call against what is called.
func (c *checker) clauseFits(clause *syntax.Clause, call *syntax.Call, t *Call) {
	at := firstLine(c.src, clause.At)
	d := diag.Diagnostic{Code: "E0128", Span: at}
	if t.Flow != nil {
		switch clause.Kind {
		case syntax.AsClause:
			d.Message, d.Label = fmt.Sprintf("`%s` says itself what it gives", call.Callee), fmt.Sprintf("it is %s already", article(t.Flow.Output))
		case syntax.RetryClause, syntax.RepairClause, syntax.CacheClause:
			d.Message, d.Label = fmt.Sprintf("`%s` cannot stand behind a flow", clause.Kind), "write it behind the steps inside the flow"
		default:
			return
		}
		c.add(d)
		return
	}
	sig := t.Signature
	switch clause.Kind {
	case syntax.AsClause:
		if !sig.Structured {
			d.Message, d.Label = fmt.Sprintf("`%s` says itself what it gives", call.Callee), fmt.Sprintf("it is %s already: `as` cannot change that", article(sig.Result))
			c.add(d)
		} else if sig.Kind == types.Ask && t.As != nil && holdsFile(*t.As) {
			d.Message, d.Label = "a person cannot answer with a file", "ask for its text, or let the flow have it as an input"
			c.add(d)
		}
	case syntax.RepairClause:
		if sig.Kind == types.Ask {
			d.Message, d.Label = "a person's answer needs no `repair`", "what does not fit is not taken, and the person is told why"
			c.add(d)
			return
		}
		if t.As == nil && ownAs(call, t.Persona) == nil {
			d.Message, d.Label = "`repair` needs an `as`", "without a type there is nothing to find wrong with an answer"
			d.Help = []string{"write `as [string]`, or the name of a `type`, before it"}
			c.add(d)
		}
	case syntax.RetryClause:
		if effectOf(sig) == types.Do && !sig.Idempotent {
			d.Code = "E0126"
			d.Message = fmt.Sprintf("`%s` may not be tried again: it could do its work twice", call.Callee)
			d.Label = "a failure does not say whether it was done"
			d.Help = []string{"catch the failure instead: `else { … }`"}
			if sig.Kind == types.Ask {
				d.Message, d.Label = fmt.Sprintf("`%s` cannot be retried", call.Callee), "a person is asked once"
				d.Help = []string{"to wait no longer than a day: `timeout 1d else \"no\"`"}
			}
			c.add(d)
		}
	case syntax.CacheClause:
		switch {
		case sig.Kind == types.Ask:
			d.Message, d.Label = "a person's answer cannot be cached", "ask again, or keep the answer with `memory.set`"
			c.add(d)
		case effectOf(sig) == types.Do:
			d.Message, d.Label = fmt.Sprintf("`%s` changes something, so it cannot be cached", call.Callee), "with a cached answer the change would not be made"
			c.add(d)
		case sig.Free:
			d.Message, d.Label = fmt.Sprintf("`%s` costs nothing, so there is nothing to cache", call.Callee), "it is asked each time"
			c.add(d)
		}
	}
	c.checkDuration(clause)
}

// clauseOfBlock checks a clause of a step that has blocks.
func (c *checker) clauseOfBlock(clause *syntax.Clause, n *Node, loop bool) {
	allowed := blockClauses
	switch n.Kind {
	case plan.ChoiceNode, plan.MatchNode:
		allowed = branchClauses
	}
	if slices.Contains(allowed, clause.Kind) {
		c.checkDuration(clause)
		return
	}
	words := make([]string, 0, len(allowed))
	for _, k := range allowed {
		words = append(words, string(k))
	}
	word := stepWord(n)
	if clause.Kind == syntax.ElseClause {
		d := diag.Diagnostic{
			Code: "E0128", Span: firstLine(c.src, clause.At), Message: fmt.Sprintf("behind `%s` an `else` is not for failures", word),
			Label: "write it behind the calls inside", Help: []string{fmt.Sprintf("to catch a failure of the whole: `try { output %s … } else …`", word)},
		}
		if n.Kind == plan.ChoiceNode {
			d.Message, d.Label = "the `else` of an `if` is a block", "put it in braces: `else { … }`"
			d.Help = []string{"for nothing leave it away: then the value may be nothing"}
			if f := clause.Fallback; f != nil && (f.Text != nil || f.Call != nil) {
				body := strings.TrimSpace(strings.TrimPrefix(c.src.Slice(clause.At), "else"))
				if f.Call == nil {
					body = "output " + body
				}
				d.Fix, d.Help = &diag.Fix{Span: clause.At, Text: "else { " + body + " }"}, nil
			}
		}
		n.bad = true
		c.add(d)
		return
	}
	c.add(diag.Diagnostic{
		Code: "E0128", Span: firstLine(c.src, clause.At), Message: fmt.Sprintf("`%s` cannot stand behind `%s`", clause.Kind, word),
		Label: "write it behind the calls inside", Help: []string{fmt.Sprintf("`%s` can have: %s", word, strings.Join(words, ", "))},
	})
}

func (c *checker) checkDuration(clause *syntax.Clause) {
	for _, d := range []time.Duration{clause.Wait, clause.Duration} {
		if d > types.MaxDuration {
			c.add(diag.Diagnostic{Code: "E0128", Span: firstLine(c.src, clause.At), Message: "this is longer than a year", Label: "366d is the longest"})
		}
	}
}

func (c *checker) checkMap(m *syntax.Map) {
	if m.Into != nil && m.Tolerate == nil {
		c.add(diag.Diagnostic{
			Code: "E0128", Span: m.Into.At, Message: "`into` needs a `tolerate`", Label: "without it the first failure stops the map, so this list would stay empty",
			Help: []string{fmt.Sprintf("write `tolerate all into %s`, `tolerate 20%% into %s` or `tolerate 3 into %s`", m.Into.Text, m.Into.Text, m.Into.Text)},
		})
	}
	if t := m.Tolerate; t != nil && t.Percent > 100 {
		c.add(diag.Diagnostic{Code: "E0128", Span: t.At, Message: "there are no more than 100% of the items", Label: "`tolerate all` lets every item fail"})
	}
}

// checkRace checks what stands in a race: named calls that only think or read.
func (c *checker) checkRace(s *syntax.Race, b *Block, members int) {
	for _, n := range b.Nodes {
		at := firstLine(c.src, n.at)
		d := diag.Diagnostic{Code: "E0125", Span: at}
		switch {
		case n.Kind == plan.RequireNode:
			d.Message, d.Label = "a `require` cannot race", "only calls stand in a race"
			d.Help = []string{"check the winner, below the race"}
		case n.Step == nil && n.Kind == plan.ValueNode, n.Step != nil && n.Name == "":
			d.Message, d.Label = "every line of a race has a name, and none is its value", "the value is the winner's: write `name = …`"
		case n.Step != nil && n.Effect == types.Do && !n.bad:
			d.Message, d.Label = fmt.Sprintf("`%s` changes something, and the losers of a race are cancelled", n.Name), "nobody could say what it had done by then"
			d.Help = []string{"race what only thinks or reads, and act on the winner below the race"}
		default:
			continue
		}
		c.add(d)
	}
	word := headerWord(c.src, s.At.Start, s.Body.At.Start, "race")
	switch {
	case s.N > members && members > 0:
		c.add(diag.Diagnostic{
			Code: "E0128", Span: word, Message: fmt.Sprintf("%d cannot win: %s in this race", s.N, counted(members, "is one step", "are %d steps")), Label: fmt.Sprintf("write `race %d` or less", max(1, members-1)),
		})
	case members == 1 && s.N == 0:
		c.add(diag.Diagnostic{Code: "E0128", Severity: diag.Warning, Span: word, Message: "one step cannot race against itself", Label: "add another, or call it without `race`"})
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "there " + one
	}
	return "there " + fmt.Sprintf(many, n)
}

// checkTimeouts reports a step that is given more time than the block around it.
func (c *checker) checkTimeouts(b *Block, around time.Duration, at source.Span) {
	for _, n := range b.Nodes {
		inside, insideAt := around, at
		if n.Step != nil {
			for _, clause := range Clauses(n.Step) {
				if clause.Kind != syntax.TimeoutClause {
					continue
				}
				span := firstLine(c.src, clause.At)
				if around > 0 && clause.Duration > around {
					c.add(diag.Diagnostic{
						Code: "E0128", Span: span, Message: "this step is given more time than the block around it", Label: "it would be cut off before",
						Related: c.related(at, "the block ends here at the latest"),
					})
				}
				if around == 0 || clause.Duration < around {
					inside, insideAt = clause.Duration, span
				}
			}
		}
		for _, body := range n.Bodies {
			c.checkTimeouts(body, inside, insideAt)
		}
		for _, f := range n.Fallbacks {
			if f != nil {
				c.checkTimeouts(f, around, at)
			}
		}
	}
}

// checkArms checks the arms of a match: each possible, none twice, none missing.
func (c *checker) checkArms(s *syntax.Match, subject known) {
	seen := map[string]source.Span{}
	var missing []string
	hasElse := false
	for i := range s.Arms {
		arm := &s.Arms[i]
		if arm.Else {
			if hasElse {
				c.add(diag.Diagnostic{Code: "E0114", Span: firstLine(c.src, arm.At), Message: "there is an `else` already", Label: "this one can never be chosen"})
			} else if i < len(s.Arms)-1 {
				c.add(diag.Diagnostic{Code: "E0114", Span: firstLine(c.src, arm.At), Message: "`else` comes last", Label: "it stands for every case that is not listed"})
			}
			hasElse = true
			continue
		}
		for _, e := range arm.Literals {
			k := c.typeExpr(e)
			if k.bad {
				continue
			}
			key := fmt.Sprintf("%v", k.Literal)
			if _, text := k.Literal.(string); text {
				key = fmt.Sprintf("%q", k.Literal)
			}
			if first, ok := seen[key]; ok {
				c.add(diag.Diagnostic{
					Code: "E0114", Span: e.At, Message: fmt.Sprintf("the case %s is there twice", c.written(e)), Label: "this one can never be chosen",
					Related: c.related(first, "the first one is here"),
				})
				continue
			}
			seen[key] = e.At
			c.possibleCase(e, k, subject)
		}
	}
	if subject.bad || hasElse {
		return
	}
	at := firstLine(c.src, s.At)
	d := diag.Diagnostic{Code: "E0114", Span: source.Span{Start: at.Start, End: s.Subject.At.End}}
	switch {
	case subject.Type.Kind == types.Enum:
		for _, v := range subject.Type.Values {
			if _, ok := seen[fmt.Sprintf("%q", v)]; !ok {
				missing = append(missing, fmt.Sprintf("%q", v))
			}
		}
	case subject.Type.Kind == types.Bool:
		for _, v := range []string{"true", "false"} {
			if _, ok := seen[v]; !ok {
				missing = append(missing, v)
			}
		}
	default:
		d.Message, d.Label = fmt.Sprintf("this `match` needs an `else`: `%s` is %s", c.written(s.Subject), article(subject.Type)), "no list of cases covers every value"
		d.Help = []string{"add a last arm: `else -> …`"}
		c.add(d)
		return
	}
	if len(missing) > 0 {
		d.Message, d.Label = "this `match` does not say what to do with "+strings.Join(missing, ", "), "every case must be covered"
		d.Help = []string{fmt.Sprintf("add `%s -> …`, or a last arm `else -> …`", strings.Join(missing, ", "))}
		c.add(d)
		return
	}
	if subject.Type.Optional {
		d.Message, d.Label = fmt.Sprintf("this `match` needs an `else`: `%s` may be empty", c.written(s.Subject)), fmt.Sprintf("it is %s", subject.Type)
		d.Help = []string{"add a last arm: `else -> …`"}
		c.add(d)
	}
}

// possibleCase checks that the subject of a match can be the literal at all.
func (c *checker) possibleCase(e *syntax.Expr, k, subject known) {
	if subject.bad || subject.Type.Kind == types.Any {
		return
	}
	bare := subject.Type
	bare.Optional = false
	literal, text := k.Literal.(string)
	if text && bare.Kind == types.Enum {
		if slices.Contains(bare.Values, literal) {
			return
		}
		d := diag.Diagnostic{Code: "E0114", Span: e.At, Message: fmt.Sprintf("this can never be %q", literal), Help: []string{"it can be " + types.Quoted(bare.Values)}}
		if near, ok := diag.Nearest(literal, bare.Values); ok {
			d.Label = fmt.Sprintf("did you mean %q?", near)
			d.Fix = &diag.Fix{Span: e.At, Text: fmt.Sprintf("%q", near)}
		} else {
			d.Label = "not one of its values"
		}
		c.add(d)
		return
	}
	number := func(t types.Type) bool { return t.Kind == types.Int || t.Kind == types.Float }
	if k.Fits(bare) || number(k.Type) && number(bare) {
		return
	}
	c.add(diag.Diagnostic{
		Code: "E0114", Span: e.At, Message: fmt.Sprintf("this case can never be chosen: it is %s", article(k.Type)), Label: fmt.Sprintf("what is matched is %s", article(subject.Type)),
	})
}

func holdsFile(t types.Type) bool {
	switch t.Kind {
	case types.File:
		return true
	case types.List:
		return holdsFile(t.Item())
	case types.Record:
		return slices.ContainsFunc(t.Fields, func(f types.Field) bool { return holdsFile(f.Type) })
	}
	return false
}
