package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/graph"
	"github.com/slopstudios/slop/runtime/wire"
)

// replCommands are the words behind a colon.
func replCommands() []replCommand {
	return []replCommand{
		{"help", "", "this list", (*repl).help},
		{"type", "EXPR", "the type of an expression or step", (*repl).typeOf},
		{"doc", "NAME", "what an agent or a function does", (*repl).doc},
		{"show", "NAME", "a value, whole", (*repl).showAll},
		{"env", "", "everything that has a name here", (*repl).env},
		{"graph", "[STEP]", "the graph of a step or of what made a name, or of the last line", (*repl).graph},
		{"cost", "", "what has been used since the start", (*repl).cost},
		{"load", "FILE", "run a script line by line", (*repl).loadCommand},
		{"save", "FILE", "write what ran well as a script", (*repl).save},
		{"reset", "", "forget all names", (*repl).resetCommand},
		{"quit", "", "leave; Ctrl-D too", func(*repl, string) error { return errQuit }},
	}
}

type replCommand struct {
	name, args, help string
	run              func(r *repl, rest string) error
}

func (r *repl) command(text string) error {
	word, rest, _ := strings.Cut(strings.TrimPrefix(text, ":"), " ")
	var names []string
	var short []replCommand
	for _, c := range replCommands() {
		names = append(names, c.name)
		if c.name == word {
			return c.run(r, strings.TrimSpace(rest))
		}
		if word != "" && strings.HasPrefix(c.name, word) {
			short = append(short, c)
		}
	}
	if len(short) == 1 {
		return short[0].run(r, strings.TrimSpace(rest))
	}
	if near, ok := diag.Nearest(word, names); ok {
		return usage("there is no command :%s, did you mean :%s?", word, near)
	}
	return usage("there is no command :%s; :help lists them", word)
}

func (r *repl) help(string) error {
	st := r.c.outStyle
	fmt.Fprint(r.c.out, `Type a step, a value or a declaration:

  draft = claude "A line about rain."
  "<<draft>> (again)"
  let words = split(draft, " ")
  agent critic = claude "You judge poems."

An open bracket or quote goes on over the next lines. _ is the last value without a name.
Ctrl-C ends the call under way and keeps every name.

`)
	for _, c := range replCommands() {
		fmt.Fprintf(r.c.out, "  %s  %s\n", st.Bold(pad(strings.TrimSpace(":"+c.name+" "+c.args), 14)), c.help)
	}
	return nil
}

func (r *repl) typeOf(rest string) error {
	if rest == "" {
		return usage(":type needs an expression: :type draft")
	}
	p, err := r.compile("output " + rest)
	if err != nil {
		return err
	}
	fmt.Fprintln(r.c.out, p.Output.String())
	return nil
}

func (r *repl) doc(name string) error {
	if _, sig, ok := r.project.registry.Lookup(name); ok {
		fmt.Fprintf(r.c.out, "%s\n%s\n", r.c.outStyle.Bold(signatureText(*sig)), sig.Doc)
		for _, p := range sig.Params {
			fmt.Fprintf(r.c.out, "  %s: %s  %s\n", p.Name, p.Type, r.c.outStyle.Dim(p.Doc))
		}
		return nil
	}
	for _, f := range eval.Functions() {
		if f.Name == name {
			fmt.Fprintf(r.c.out, "%s\n%s\n", r.c.outStyle.Bold(f.Signature()), f.Doc)
			return nil
		}
	}
	known := r.project.registry.Names()
	for _, f := range eval.Functions() {
		known = append(known, f.Name)
	}
	if near, ok := diag.Nearest(name, known); ok {
		return usage("there is no agent or function %q, did you mean %s?", name, near)
	}
	return usage(":doc tells about agents and functions; there is none named %q", name)
}

func (r *repl) showAll(name string) error {
	if name == "" {
		name = "_"
	}
	var names []string
	for _, b := range r.values {
		names = append(names, b.name)
		if b.name == name {
			text, ok := b.value.(string)
			if !ok {
				var err error
				if text, err = eval.Render(wire.Plain(b.value)); err != nil {
					return err
				}
			}
			text = r.host.redact(text)
			if r.c.outTerminal {
				text = screen.Inert(text)
			}
			fmt.Fprintln(r.c.out, strings.TrimRight(text, "\n"))
			return nil
		}
	}
	if near, ok := diag.Nearest(name, names); ok {
		return usage("there is no value %s, did you mean %s?", name, near)
	}
	return usage("there is no value %s; :env lists what there is", name)
}

func (r *repl) env(string) error {
	st := r.c.outStyle
	for _, d := range r.declared {
		fmt.Fprintf(r.c.out, "%s %s\n", st.Dim(pad(d.kind, 6)), screen.OneLine(strings.TrimPrefix(strings.TrimSpace(d.text), d.kind+" "), 90))
	}
	for _, b := range r.values {
		text, ok := b.value.(string)
		if !ok {
			text = compact(wire.Plain(b.value))
		}
		fmt.Fprintf(r.c.out, "%s: %s  %s\n", st.Bold(b.name), b.kind, st.Dim(screen.OneLine(r.host.redact(text), 60)))
	}
	if len(r.declared)+len(r.values) == 0 {
		fmt.Fprintln(r.c.out, st.Dim("nothing has a name yet; `slop agents` lists what can be called"))
	}
	return nil
}

func (r *repl) graph(rest string) error {
	p := r.last
	if rest != "" {
		i := slices.IndexFunc(r.values, func(b binding) bool { return b.name == rest })
		switch {
		case i < 0:
			var err error
			if p, err = r.compile(rest); err != nil {
				return err
			}
		case r.values[i].plan == nil:
			return usage("%s is an input: no step has made it", rest)
		default:
			p = r.values[i].plan
		}
	}
	if p == nil {
		return usage("nothing has run yet: :graph STEP")
	}
	fmt.Fprintln(r.c.out, strings.TrimRight(graph.ASCII(p), "\n"))
	return nil
}

func (r *repl) cost(string) error {
	text := plural(int(r.usage.Calls), "call")
	if used := screen.Used(r.usage); used != "" {
		text += ", " + used
	}
	fmt.Fprintln(r.c.out, text)
	return nil
}

func (r *repl) loadCommand(path string) error {
	if path == "" {
		return usage(":load needs a file: :load hello.slop")
	}
	return r.load(path)
}

func (r *repl) resetCommand(string) error {
	r.reset()
	return nil
}
