package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reeflective/readline"
	"golang.org/x/term"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

const (
	promptFirst = "slop> "
	promptMore  = "  ... "
)

// readTerminal reads lines from a person until they leave. The editor asks the terminal where its cursor is and waits for the answer, so a terminal
// that does not answer gets plain lines.
func (r *repl) readTerminal() error {
	st := r.c.outStyle
	fmt.Fprintln(r.c.out, st.Bold("slop "+versionText())+st.Dim("  :help for help, Ctrl-D to leave"))
	if os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "" || !r.c.outTerminal || !answersCursor(r.c.in, r.c.out.File) {
		return r.readPlain()
	}
	shell := readline.NewShell()
	shell.Prompt.Primary(func() string { return st.Cyan(promptFirst) })
	shell.Prompt.Secondary(func() string { return st.Dim(promptMore) })
	shell.AcceptMultiline = func(line []rune) bool { return complete(string(line)) }
	shell.Completer = r.completions
	_ = shell.Config.Set("menu-complete-display-prefix", true) // the first Tab completes what is certain and lists the rest
	_ = shell.Config.Bind("emacs", "\t", "menu-complete", false)
	_ = shell.Config.Bind("emacs-standard", "\t", "menu-complete", false)
	_ = shell.Config.Bind("vi-insert", "\t", "menu-complete", false)
	if h, err := r.openHistory(); err == nil {
		shell.History.Delete()
		shell.History.Add("history", h)
	}
	hinted := false
	for {
		text, err := shell.Readline()
		switch {
		case errors.Is(err, io.EOF):
			fmt.Fprintln(r.c.out)
			return nil
		case err != nil: // Ctrl-C at the prompt
			if strings.TrimSpace(text) == "" {
				if hinted {
					fmt.Fprintln(r.c.out, st.Dim("(:quit or Ctrl-D leaves)"))
				}
				hinted = true
			}
			continue
		}
		hinted = false
		if strings.TrimSpace(text) == "" {
			continue
		}
		if err := r.line(text); errors.Is(err, errQuit) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// complete reports whether Enter runs the text: nothing is open and it does not end in a backslash.
func complete(text string) bool {
	if strings.HasPrefix(strings.TrimSpace(text), ":") {
		return true
	}
	return !syntax.Incomplete(text)
}

// readPlain is the REPL without an editor.
func (r *repl) readPlain() error {
	in := bufio.NewReader(r.c.in)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // at the prompt Ctrl-C does nothing; a session hears it too
	defer signal.Stop(interrupts)
	text := ""
	for {
		prompt := promptFirst
		if text != "" {
			prompt = promptMore
		}
		fmt.Fprint(r.c.out, prompt)
		line, err := in.ReadString('\n')
		if err != nil && line == "" {
			fmt.Fprintln(r.c.out)
			return nil
		}
		text += line
		if strings.TrimSpace(text) == "" {
			text = ""
			continue
		}
		if !complete(text) {
			continue
		}
		if err := r.line(text); errors.Is(err, errQuit) {
			return nil
		} else if err != nil {
			return err
		}
		text = ""
	}
}

// answersCursor asks the terminal where its cursor is. Behind a bare pty nobody answers.
func answersCursor(in, out *os.File) bool {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return false
	}
	defer func() { _ = term.Restore(int(in.Fd()), state) }()
	if _, err := out.WriteString("\x1b[6n"); err != nil {
		return false
	}
	var answer []byte
	deadline := time.Now().Add(400 * time.Millisecond)
	for time.Now().Before(deadline) {
		if !readable(in, 50*time.Millisecond) {
			continue
		}
		var b [32]byte
		n, err := in.Read(b[:])
		if err != nil {
			return false
		}
		answer = append(answer, b[:n]...)
		if slices.Contains(answer, 'R') {
			return true
		}
	}
	_, _ = out.WriteString("\r    \r") // what the terminal made of the question
	return false
}

// replHistory is the history in the state folder, which only the user can read. A line that holds the value of a secret, or begins with a blank, stays out.
type replHistory struct {
	readline.History
	secret func(string) bool
}

func (h replHistory) Write(text string) (int, error) {
	if strings.HasPrefix(text, " ") || h.secret(text) {
		return h.Len(), nil
	}
	return h.History.Write(text)
}

func (r *repl) openHistory() (readline.History, error) {
	path, err := r.project.places.StateFile("history")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Chmod(0o600)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	file, err := readline.NewHistoryFromFile(path)
	if err != nil {
		return nil, err
	}
	return replHistory{file, func(text string) bool { return r.host.redact(text) != text }}, nil
}

// completions offers what may stand at the cursor: commands, fields behind a dot, arguments inside the parentheses of a call, else names.
func (r *repl) completions(line []rune, cursor int) readline.Completions {
	before := string(line[:min(cursor, len(line))])
	word := lastWord(before)
	// The editor completes the whole word back to the last blank, so what stands before ours is part of every value.
	blank := before[strings.LastIndexAny(before, " \t\n")+1:]
	lead := strings.TrimSuffix(blank, word)
	var list []readline.Completion
	for _, o := range r.offers(before, word) {
		if strings.HasPrefix(o[0], word) {
			list = append(list, readline.Completion{Value: lead + o[0], Display: o[0], Description: screen.OneLine(o[1], 60)})
		}
	}
	c := readline.CompleteRaw(list).NoSpace('(', '.', ' ', '/')
	c.PREFIX = blank
	return c
}

// lastWord is what stands before the cursor and may be completed.
func lastWord(before string) string {
	if strings.HasPrefix(before, ":") {
		if i := strings.LastIndexByte(before, ' '); i >= 0 {
			return before[i+1:]
		}
		return before
	}
	i := strings.LastIndexFunc(before, func(c rune) bool {
		return c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c < 0x80
	})
	return before[i+1:]
}

// offers lists completions with a word of explanation.
func (r *repl) offers(before, word string) [][2]string {
	var out [][2]string
	add := func(name, about string) { out = append(out, [2]string{name, about}) }
	if strings.HasPrefix(before, ":") {
		verb, _, inside := strings.Cut(before, " ")
		switch {
		case !inside:
			for _, c := range replCommands() {
				add(":"+c.name, c.help)
			}
			return out
		case verb == ":load" || verb == ":save":
			matches, _ := filepath.Glob(word + "*")
			for _, m := range matches {
				if info, err := os.Stat(m); err == nil && info.IsDir() {
					m += "/"
				}
				add(m, "")
			}
			return out
		}
	}
	if base, _, dotted := cutLast(word, "."); dotted {
		if t, ok := r.typeAt(base); ok {
			for _, f := range fieldsOf(t) {
				add(base+"."+f.Name, f.Type.String())
			}
		}
		for _, name := range r.project.registry.Names() {
			if strings.HasPrefix(name, base+".") {
				_, sig, _ := r.project.registry.Lookup(name)
				add(name, sig.Doc)
			}
		}
		return out
	}
	if callee, ok := openCall(strings.TrimSuffix(before, word)); ok {
		if sig, ok := r.signature(callee); ok {
			for _, p := range sig.Params {
				if p.Name != sig.Primary {
					add(p.Name+": ", p.Type.String())
				}
			}
			if end := strings.TrimRight(strings.TrimSuffix(before, word), " "); strings.HasSuffix(end, "(") || strings.HasSuffix(end, ",") {
				return out // only an argument can stand here
			}
		}
	}
	for _, b := range r.values {
		add(b.name, b.kind.String())
	}
	for _, d := range r.declared {
		if strings.HasPrefix(d.text, "use template") {
			add(d.name+"({", "template")
			continue
		}
		add(d.name, d.kind)
	}
	for _, name := range r.project.registry.Names() {
		_, sig, _ := r.project.registry.Lookup(name)
		add(name, sig.Doc)
	}
	if word == "" {
		return out
	}
	for _, f := range eval.Functions() {
		add(f.Name+"(", f.Doc)
	}
	for _, k := range []string{
		"input", "secret", "type", "agent", "use", "let", "require", "output", "parallel {", "sequence {", "race {", "try {", "map", "reduce", "loop", "if",
		"match", "else", "retry", "repair", "timeout", "budget", "cache", "after", "as",
	} {
		add(k, "")
	}
	return out
}

// openCall is the callee whose parentheses are open at the end of text.
func openCall(text string) (string, bool) {
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case ')':
			depth++
		case '(':
			if depth == 0 {
				callee := lastWord(text[:i])
				return callee, callee != ""
			}
			depth--
		}
	}
	return "", false
}

func (r *repl) signature(callee string) (types.Signature, bool) {
	for _, d := range r.declared {
		if d.kind == "agent" && d.name == callee {
			if _, base, ok := strings.Cut(d.text, "="); ok {
				base = strings.TrimSpace(base)
				if i := strings.IndexAny(base, " (\""); i > 0 {
					base = base[:i]
				}
				callee = base
			}
		}
	}
	if _, sig, ok := r.project.registry.Lookup(callee); ok {
		return *sig, true
	}
	return types.Signature{}, false
}

// typeAt is the type of a path such as review or band.melody.
func (r *repl) typeAt(path string) (types.Type, bool) {
	names := strings.Split(path, ".")
	for _, b := range r.values {
		if b.name != names[0] {
			continue
		}
		t := b.kind
		for _, name := range names[1:] {
			f, ok := t.Field(name)
			if !ok {
				return types.Type{}, false
			}
			t = f.Type
		}
		return t, true
	}
	return types.Type{}, false
}

func fieldsOf(t types.Type) []types.Field {
	if t.Kind == types.File {
		text := types.Type{Kind: types.String}
		return []types.Field{{Name: "name", Type: text}, {Name: "size", Type: types.Type{Kind: types.Int}}, {Name: "type", Type: text}, {Name: "text", Type: text}}
	}
	return t.Fields
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
