package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Script writes a random program that is free of errors, of every construct the language has. The agents it calls are those of lang/langtest.
// A plain one has nothing whose outcome depends on what happens first, so that Reference can say what its value is.
func Script(r *rand.Rand, plain bool) string {
	g := &writer{r: r, plain: plain}
	g.line(0, `use "./sub.slop" as sub`)
	g.line(0, "input topic: string")
	g.line(0, "input list: [string]")
	if r.IntN(3) == 0 && !plain {
		g.line(0, fmt.Sprintf("budget %d calls", 2+r.IntN(40)))
	}
	vars := []variable{{"topic", false}, {"list", true}}
	g.value(0, g.lines(0, 2+r.IntN(5), 3, vars, true))
	return g.b.String()
}

// Files are what the programs of Script use.
func Files() map[string]string {
	return map[string]string{"sub.slop": `
input text: string
input times: int = 1 must times < 3
one = writer "sub <<text>> <<times>>"
two = try {
  oracle "two <<one>>"
} else {
  editor "instead <<text>>"
}
output critic "end <<two>>" else "sub failed"
`}
}

type variable struct {
	name string
	list bool
}

type writer struct {
	r     *rand.Rand
	plain bool
	b     strings.Builder
	names int
}

func (g *writer) line(indent int, s string) {
	g.b.WriteString(strings.Repeat("  ", indent))
	g.b.WriteString(s)
	g.b.WriteByte('\n')
}

func (g *writer) name() string {
	g.names++
	return fmt.Sprintf("v%d", g.names)
}

func (g *writer) model() string {
	return []string{"writer", "editor", "critic", "oracle", "researcher"}[g.r.IntN(5)]
}

func (g *writer) text(vars []variable) string {
	s := fmt.Sprintf("t%d", g.r.IntN(100))
	for range g.r.IntN(3) {
		s += " <<" + vars[g.r.IntN(len(vars))].name + ">>"
	}
	return `"` + s + `"`
}

// call is a call with some of its policies.
func (g *writer) call(vars []variable) string {
	s := g.model() + " " + g.text(vars)
	if g.r.IntN(4) == 0 {
		s += fmt.Sprintf(" retry %d wait %ds", 1+g.r.IntN(3), 1+g.r.IntN(5))
	}
	if g.r.IntN(6) == 0 {
		s += " timeout 1m"
	}
	if g.r.IntN(8) == 0 && !g.plain {
		s += fmt.Sprintf(" budget %d calls", 1+g.r.IntN(3))
	}
	for range g.r.IntN(3) {
		if g.r.IntN(2) == 0 {
			s += " else " + g.model() + " " + g.text(vars)
		}
	}
	if g.r.IntN(4) == 0 {
		s += ` else "plan B"`
	}
	return s
}

// lines writes n lines of a block and returns what is in scope behind them.
func (g *writer) lines(indent, n, depth int, vars []variable, deeds bool) []variable {
	for range n {
		v := g.name()
		kind := g.r.IntN(19)
		if kind > 15 {
			kind = 3 // deeds are what order and failure are about
		}
		if depth == 0 && kind >= 7 {
			kind %= 7
		}
		switch kind {
		case 0, 1:
			g.line(indent, v+" = "+g.call(vars))
		case 2:
			g.line(indent, v+" = "+[]string{
				"sub " + g.text(vars),
				fmt.Sprintf("sub(text: string(%s), times: %d)", vars[g.r.IntN(len(vars))].name, 1+g.r.IntN(2)),
				"sub " + g.text(vars) + ` else "no sub"`,
			}[g.r.IntN(3)])
		case 3:
			if !deeds {
				continue
			}
			g.line(indent, fmt.Sprintf(`%s = shell "deed %s"`, v, v))
		case 4:
			g.line(indent, fmt.Sprintf("%s = echo %s", v, g.text(vars)))
		case 5:
			g.line(indent, fmt.Sprintf(`let %s = string(%s)`, v, vars[g.r.IntN(len(vars))].name))
		case 6:
			g.small(indent, v, vars, deeds)
			continue
		case 7:
			g.line(indent, v+" = "+[]string{"parallel", "parallel limit 2", "sequence", "try"}[g.r.IntN(4)]+" {")
			if g.r.IntN(2) == 0 { // its value is a record
				g.line(indent+1, v+"a = "+g.call(vars))
				g.lines(indent+1, g.r.IntN(3), depth-1, vars, deeds)
			} else {
				g.block(indent+1, depth-1, vars, deeds)
			}
			g.close(indent, vars, depth, deeds, "try")
		case 8, 9:
			list := g.list(vars)
			tolerance := g.tolerance()
			into := strings.Contains(tolerance, "tolerate") && !g.plain && g.r.IntN(2) == 0
			if into {
				tolerance += " into " + v + "missed"
			}
			g.line(indent, v+" = map "+v+"x in "+list+tolerance+" {")
			g.block(indent+1, depth-1, with(vars, variable{v + "x", false}), deeds)
			g.close(indent, vars, depth, deeds, "list")
			vars = with(vars, variable{v, true})
			if into {
				vars = with(vars, variable{v + "missed", false})
			}
			continue
		case 10:
			g.line(indent, fmt.Sprintf("%s = reduce %sp in %s by %d {", v, v, g.list(vars), 2+g.r.IntN(2)))
			g.line(indent+1, g.model()+" \"merge <<"+v+"p>>\"")
			g.close(indent, vars, depth, deeds, "try")
		case 11:
			g.loop(indent, v, vars, depth, deeds)
		case 12:
			g.line(indent, fmt.Sprintf("%s = if len(string(%s)) > %d {", v, vars[g.r.IntN(len(vars))].name, g.r.IntN(20)))
			g.block(indent+1, depth-1, vars, deeds)
			g.line(indent, "} else {")
			g.block(indent+1, depth-1, vars, deeds)
			g.line(indent, "}")
		case 13:
			g.line(indent, fmt.Sprintf("%s = match string(%s) {", v, vars[g.r.IntN(len(vars))].name))
			g.line(indent+1, `"a", "b" -> `+g.model()+` "ab"`)
			g.line(indent+1, `else -> {`)
			g.block(indent+2, depth-1, vars, deeds)
			g.line(indent+1, `}`)
			g.line(indent, "}")
		case 14:
			text := g.text(vars)
			g.line(indent, v+" = race {")
			for i := range 2 + g.r.IntN(2) {
				member := text // so that a plain program has one value, whoever wins
				if !g.plain {
					member = g.text(vars)
				}
				g.line(indent+1, fmt.Sprintf("%sm%d = %s %s", v, i, g.model(), member))
			}
			g.close(indent, vars, depth, false, "try")
		default:
			g.line(indent, v+" = try {")
			g.block(indent+1, depth-1, vars, deeds)
			g.line(indent, "} else {")
			g.block(indent+1, depth-1, vars, deeds)
			g.line(indent, "}")
		}
		vars = with(vars, variable{v, false})
	}
	return vars
}

func with(vars []variable, v variable) []variable {
	return append(vars[:len(vars):len(vars)], v)
}

func (g *writer) list(vars []variable) string {
	var lists []string
	for _, v := range vars {
		if v.list {
			lists = append(lists, v.name)
		}
	}
	return lists[g.r.IntN(len(lists))]
}

func (g *writer) tolerance() string {
	s := ""
	if g.r.IntN(2) == 0 {
		s += fmt.Sprintf(" limit %d", 1+g.r.IntN(3))
	}
	switch g.r.IntN(4) {
	case 0:
		s += " tolerate all"
	case 1:
		s += " tolerate 50%"
	}
	return s
}

// small lines have no name that others use.
func (g *writer) small(indent int, v string, vars []variable, deeds bool) {
	switch {
	case g.r.IntN(3) == 0:
		limit := 0
		if g.r.IntN(4) == 0 {
			limit = 3
		}
		g.line(indent, fmt.Sprintf(`require len(string(%s)) >= %d else "too short"`, vars[g.r.IntN(len(vars))].name, limit))
	case deeds && g.r.IntN(2) == 0:
		g.line(indent, v+` = wait "10s"`)
	case deeds:
		g.line(indent, v+` = human.ask "why?"`+[]string{"", ` timeout 50s else "nobody"`}[g.r.IntN(2)])
		g.line(indent, v+`b = echo "<<`+v+`>>"`)
	}
}

// block writes the lines of an inner block, with a text as its value.
func (g *writer) block(indent, depth int, vars []variable, deeds bool) {
	g.value(indent, g.lines(indent, g.r.IntN(3), depth, vars, deeds))
}

func (g *writer) value(indent int, vars []variable) {
	switch g.r.IntN(3) {
	case 0:
		g.line(indent, g.model()+" "+g.text(vars))
	case 1:
		g.line(indent, "output string("+vars[len(vars)-1].name+")")
	default:
		g.line(indent, "output "+g.model()+" "+g.text(vars)+` else "last"`)
	}
}

// close ends a block, with clauses as it may have.
func (g *writer) close(indent int, vars []variable, depth int, deeds bool, kind string) {
	s := "}"
	if g.r.IntN(4) == 0 && !g.plain {
		s += " timeout 5m"
	}
	if g.r.IntN(4) == 0 && !g.plain {
		s += []string{fmt.Sprintf(" budget %d calls", 1+g.r.IntN(6)), fmt.Sprintf(" budget $0.%02d", 2+g.r.IntN(20)), fmt.Sprintf(" budget %d tokens", 2000+g.r.IntN(20000))}[g.r.IntN(3)]
	}
	if g.r.IntN(3) > 0 {
		g.line(indent, s)
		return
	}
	if kind == "list" {
		g.line(indent, s+` else { output ["fallback"] }`)
		return
	}
	g.line(indent, s+" else {")
	g.block(indent+1, max(depth-1, 0), vars, deeds)
	g.line(indent, "}")
}

func (g *writer) loop(indent int, v string, vars []variable, depth int, deeds bool) {
	g.line(indent, fmt.Sprintf("%s = loop %sv from string(%s) max %d {", v, v, vars[g.r.IntN(len(vars))].name, 1+g.r.IntN(3)))
	inner := with(vars, variable{v + "v", false})
	stops := g.r.IntN(3) > 0
	if stops {
		g.line(indent+1, fmt.Sprintf("%sscore = critic \"score <<%sv>>\" as int", v, v))
		g.line(indent+1, fmt.Sprintf("stop if %sscore >= 7", v))
	}
	g.value(indent+1, g.lines(indent+1, g.r.IntN(2), max(depth-1, 0), inner, deeds))
	switch {
	case !stops && g.r.IntN(2) == 0:
		g.line(indent, "}")
	case g.r.IntN(2) == 0:
		g.line(indent, "} else keep")
	case g.r.IntN(2) == 0:
		g.line(indent, `} else fail "out of rounds"`)
	default:
		g.line(indent, fmt.Sprintf("} else writer \"save <<%sv>>\"", v))
	}
}
