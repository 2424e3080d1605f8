package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// checkBudgets checks that what is spent under a budget in money has a price, and that one attempt fits the budget of its own step.
func (c *checker) checkBudgets() {
	unpriced := c.unpriced()
	for _, item := range c.file.Items {
		if b, ok := item.(*syntax.Budget); ok && b.Amount.Money > 0 {
			c.priced(b.At, unpriced)
			break // a second one is reported as such
		}
	}
	for _, site := range c.calls {
		for _, clause := range site.call.Clauses {
			if clause.Kind == syntax.BudgetClause {
				c.checkCallBudget(clause, site)
			}
		}
	}
	under := map[*Node][]callSite{} // by the block with a budget in dollars around them
	for _, site := range unpriced {
		if c.info.Calls[site.call].lent && dollarBudget(site.node) != nil { // given to a flow that is called under a budget
			under[site.node] = append(under[site.node], site)
		}
		for b := site.block; b.owner != nil; b = b.Parent {
			if b.kind != elseBlock && dollarBudget(b.owner) != nil {
				under[b.owner] = append(under[b.owner], site)
			}
		}
	}
	for _, b := range c.order {
		for _, n := range b.Nodes {
			if sites := under[n]; len(sites) > 0 {
				c.priced(firstLine(c.src, dollarBudget(n).At), sites)
			}
		}
	}
}

// dollarBudget is the budget in dollars behind a step that has blocks, or nil.
func dollarBudget(n *Node) *syntax.Clause {
	clauses := Clauses(n.Step)
	for i := range clauses {
		if clauses[i].Kind == syntax.BudgetClause && clauses[i].Amount.Money > 0 {
			return &clauses[i]
		}
	}
	return nil
}

// unpriced are the calls that cost money nobody knows. Only models are paid by the call.
func (c *checker) unpriced() []callSite {
	var sites []callSite
	for _, site := range c.calls {
		if t := c.info.Calls[site.call]; t.Signature != nil && c.unpricedCall(site) {
			sites = append(sites, site)
		}
	}
	return sites
}

// priced reports models without a price under a budget in money.
func (c *checker) priced(at source.Span, sites []callSite) {
	var names []string
	model := "" // whose price is missing, where the agent has one for others
	var related []diag.Related
	for _, site := range sites {
		t := c.info.Calls[site.call]
		if slices.Contains(names, t.Signature.Name) {
			continue
		}
		names = append(names, t.Signature.Name)
		if len(names) == 1 && t.Signature.Price != nil {
			model = c.modelOf(site)
		}
		if len(related) < 3 {
			related = append(related, diag.Related{File: c.src, Span: site.call.Callee.At, Message: "called here"})
		}
	}
	if len(names) == 0 {
		return
	}
	message := fmt.Sprintf("this budget is in dollars, and %s has no price", quoted(names))
	help := fmt.Sprintf("give a price in slop.toml: `[agents.%s]` with `price = {input = 3, output = 15}`, dollars for a million tokens", names[0])
	if model != "" {
		message = fmt.Sprintf("this budget is in dollars, and %s has no price for the model `%s`", quoted(names), model)
		help = fmt.Sprintf("give it one in slop.toml: `[agents.%s]` with `model = \"%s\"` and `price = {input = 3, output = 15}`, dollars for a million tokens", names[0], model)
	}
	c.add(diag.Diagnostic{
		Code: "E0127", Span: at, Message: message, Label: "nobody could say when it is spent",
		Help:    []string{help, "or count: `budget 50000 tokens`, `budget 20 calls`"},
		Related: related,
	})
}

func (c *checker) unpricedCall(site callSite) bool {
	t := c.info.Calls[site.call]
	s := t.Signature
	return t.Agent == nil && effectOf(s) == types.Think && !s.Free && c.priceOf(site) == nil
}

// priceOf is the price of the model that a call names. One that is only known when the call is made is taken for the agent's own.
func (c *checker) priceOf(site callSite) *types.Price {
	return c.info.Calls[site.call].Signature.PriceOf(c.modelOf(site))
}

// modelOf is the model that a call names as a plain text; "" when it does not.
func (c *checker) modelOf(site callSite) string {
	arg := arguments(site.call, c.info.Calls[site.call].Persona)["model"]
	if arg == nil {
		return ""
	}
	text := whole(arg.Value)
	if text == nil {
		return ""
	}
	name, _ := text.Plain()
	return name
}

func (c *checker) checkCallBudget(clause syntax.Clause, site callSite) {
	t := c.info.Calls[site.call]
	if t == nil || t.Signature == nil || clause.Amount.Money == 0 {
		return
	}
	sig := t.Signature
	price := c.priceOf(site)
	if c.unpricedCall(site) {
		c.priced(firstLine(c.src, clause.At), []callSite{site})
		return
	}
	if price == nil || sig.MaxOutput == 0 {
		return
	}
	worst := int64(float64(sig.MaxOutput*sig.Asked()) * price.Output)
	if worst > clause.Amount.Money {
		c.add(diag.Diagnostic{
			Code: "E0127", Severity: diag.Warning, Span: firstLine(c.src, clause.At),
			Message: fmt.Sprintf("one call of `%s` may cost up to %s; the budget is %s", site.call.Callee, cents(worst), dollars(clause.Amount.Money)),
			Label:   "a call that may not fit is not made", Help: []string{"raise the budget, or ask for shorter answers with `max_tokens`"},
		})
	}
}

// dollars writes millionths of a dollar with as many digits as matter.
func dollars(micros int64) string {
	s := fmt.Sprintf("$%.6f", float64(micros)/1e6)
	s = strings.TrimRight(s, "0")
	for len(s)-strings.IndexByte(s, '.') < 3 {
		s += "0"
	}
	return s
}

// cents writes an estimate in millionths of a dollar: rounded to cents, when it has any.
func cents(micros int64) string {
	if micros < 10_000 {
		return dollars(micros)
	}
	return fmt.Sprintf("$%.2f", float64(micros)/1e6)
}

// Afford compares the worst case of a plan with the budget of its file (check 27). It is asked when the plan exists: counting calls is the plan's.
func Afford(info *Info, worst plan.WorstCase) diag.List {
	var list diag.List
	for _, item := range info.File.Items {
		b, ok := item.(*syntax.Budget)
		if !ok {
			continue
		}
		upTo := "up to"
		if !worst.CallsKnown {
			upTo = "with one item in each list of unknown length already up to"
		}
		said := fmt.Sprintf("%s %s", upTo, calls(worst.Calls))
		budget := ""
		switch {
		case b.Amount.Money > 0 && int64(worst.Money) > b.Amount.Money:
			said += fmt.Sprintf(", about %s", cents(int64(worst.Money)))
			budget = dollars(b.Amount.Money)
		case b.Amount.Calls > 0 && worst.Calls > int64(b.Amount.Calls):
			budget = calls(int64(b.Amount.Calls))
		default:
			continue
		}
		list.Add(diag.Diagnostic{
			Code: "E0127", Severity: diag.Warning, File: info.File.Source, Span: b.At,
			Message: fmt.Sprintf("%s; the budget is %s", said, budget), Label: "if everything is retried, repaired and goes all its rounds",
			Help: []string{"raise the budget, or lower `retry`, `repair`, `max` or the number of items"},
		})
	}
	return list
}

func calls(n int64) string {
	if n == 1 {
		return "1 call"
	}
	return fmt.Sprintf("%d calls", n)
}
