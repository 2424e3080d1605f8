package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// readLine reads one line that a person types.
func (c *console) readLine() (string, bool) {
	l := c.listen()
	defer l.close()
	line, ok := <-l.lines
	return line, ok
}

// listener reads what a person types, line by line, for as long as somebody listens: what is typed later belongs to whoever asks next.
type listener struct {
	lines chan string
	stop  chan struct{}
	done  chan struct{}
}

func (c *console) listen() *listener {
	l := &listener{lines: make(chan string), stop: make(chan struct{}), done: make(chan struct{})}
	go l.read(c.in)
	return l
}

func (l *listener) read(in *os.File) {
	defer close(l.done)
	defer close(l.lines)
	var text []byte
	var chunk [1]byte
	for {
		for !readable(in, 50*time.Millisecond) {
			select {
			case <-l.stop:
				return
			default:
			}
		}
		n, err := in.Read(chunk[:]) // not more than the line: the rest belongs to whoever reads next
		text = append(text, chunk[:n]...)
		if n > 0 && chunk[0] == '\n' || err != nil && len(text) > 0 {
			select {
			case l.lines <- strings.TrimRight(string(text), "\r\n"):
			case <-l.stop:
				return
			}
			text = text[:0]
		}
		if err != nil {
			return
		}
	}
}

func (l *listener) close() {
	close(l.stop)
	<-l.done
}

// ask puts a question on the terminal, behind those that stand there already. Where nobody can answer a run that is kept waits; one that is not ends, since
// nobody could answer later either.
func (s *session) ask(ctx context.Context, q *run.Asked) {
	if s.answered {
		return
	}
	if !s.asks() {
		if s.unasked == nil && s.state == nil {
			s.unasked = q
			_ = s.runs.Cancel(ctx, s.id, "slop run", "a person is needed and there is no terminal") // finished meanwhile: nothing to end
		}
		return
	}
	s.questions = append(s.questions, q)
	if len(s.questions) == 1 && !s.behind() {
		s.show(q)
	}
}

func (s *session) show(q *run.Asked) {
	if s.screen != nil {
		s.screen.Hold()
	}
	st := s.c.style
	fmt.Fprintf(s.c.err, "\n%s %s\n%s\n", st.Yellow("?"), st.Bold(screen.Inert(string(q.Path))), screen.Inert(s.redact(q.Form.Text)))
	if !q.Deadline.IsZero() {
		fmt.Fprintln(s.c.err, st.Dim("(until "+q.Deadline.Local().Format("Mon 2 Jan 15:04")+")"))
	}
	for i, choice := range q.Form.Choices {
		if q.Form.Kind == "choose" {
			fmt.Fprintf(s.c.err, "  %d  %s\n", i+1, screen.Inert(choice))
		}
	}
	s.prompt(q)
}

func (s *session) prompt(q *run.Asked) {
	switch q.Form.Kind {
	case "approve":
		fmt.Fprint(s.c.err, "[yes/no] ")
	case "choose":
		fmt.Fprintf(s.c.err, "[1-%d] ", len(q.Form.Choices))
	case interruptedForm:
		fmt.Fprint(s.c.err, "[done/done VALUE/again/fail] ")
	case fillForm:
		fmt.Fprintf(s.c.err, "%s[%s] ", formFields(q.Form.Type), formHint(q.Form.Type))
	default:
		fmt.Fprint(s.c.err, "> ")
	}
}

// answers is the channel of typed lines while a question stands, else nil, which never gives anything.
func (s *session) answers() <-chan string {
	if len(s.questions) == 0 || s.interrupted || s.behind() {
		return nil
	}
	if s.listener == nil {
		s.listener = s.c.listen()
	}
	return s.listener.lines
}

// deadline of the question that stands on the terminal.
func (s *session) deadline() <-chan time.Time {
	if len(s.questions) == 0 || s.questions[0].Deadline.IsZero() || s.behind() {
		return nil
	}
	return time.After(time.Until(s.questions[0].Deadline))
}

func (s *session) answer(ctx context.Context, line string, ok bool) {
	q := s.questions[0]
	if !ok && s.state != nil {
		s.alone = true
		for len(s.questions) > 0 {
			s.questions = s.questions[:1] // the others were not shown yet
			s.nextQuestion("nobody is there any more")
		}
		return
	}
	if !ok {
		s.unasked = q
		s.nextQuestion("nobody is there any more")
		_ = s.runs.Cancel(ctx, s.id, "slop run", "a person is needed and standard input has ended")
		return
	}
	value, err := readAnswer(q.Form, line)
	if err == nil {
		err = s.runs.Answer(ctx, s.id, q.Path, value, "terminal")
	}
	switch {
	case err == nil, errors.Is(err, runs.ErrAnswered), errors.Is(err, runs.ErrNotAsked), errors.Is(err, runs.ErrFinished):
		s.nextQuestion("")
	default:
		fmt.Fprintln(s.c.err, s.c.style.Red(screen.Inert(err.Error())))
		s.prompt(q)
	}
}

// nextQuestion takes the first question off the terminal and shows the next, or the run again.
func (s *session) nextQuestion(why string) {
	if why != "" && !s.behind() {
		fmt.Fprintln(s.c.err, s.c.style.Dim("\n("+why+")"))
	}
	s.questions = s.questions[1:]
	switch {
	case s.behind():
	case len(s.questions) > 0:
		s.show(s.questions[0])
	case s.screen != nil:
		s.screen.GoOn()
	}
}

// withdraw takes away a question that was answered elsewhere.
func (s *session) withdraw(path run.Path) {
	for i, q := range s.questions {
		if q.Path != path {
			continue
		}
		if i == 0 {
			s.nextQuestion("answered")
			return
		}
		s.questions = append(s.questions[:i:i], s.questions[i+1:]...)
		return
	}
}

// readAnswer turns a typed line into the value a form asks for.
func readAnswer(f run.Form, line string) (any, error) {
	text := strings.TrimSpace(line)
	switch f.Kind {
	case "approve":
		switch strings.ToLower(text) {
		case "y", "yes":
			return "yes", nil
		case "n", "no":
			return "no", nil
		}
		return nil, errors.New("please answer yes or no")
	case "choose":
		for _, c := range f.Choices {
			if strings.EqualFold(c, text) {
				return c, nil
			}
		}
		if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(f.Choices) {
			return f.Choices[n-1], nil
		}
		if near, ok := diag.Nearest(text, f.Choices); ok && text != "" {
			return nil, fmt.Errorf("please choose one of them; did you mean %q?", near)
		}
		return nil, errors.New("please choose one of them, by its number or name")
	}
	if f.Kind == interruptedForm {
		return readVerdict(f, line)
	}
	if f.Kind == fillForm {
		return readForm(f.Type, text)
	}
	if text == "" {
		return nil, errors.New("please type an answer")
	}
	return line, nil
}

// fillForm is the kind of a question with several fields, which may be declined.
const fillForm = "form"

// formFields lists what a form has, a line each.
func formFields(t types.Type) string {
	var b strings.Builder
	for _, f := range t.Fields {
		fmt.Fprintf(&b, "  %s: %s", screen.Inert(f.Name), screen.Inert(f.Type.String()))
		if f.Doc != "" {
			b.WriteString("  " + screen.OneLine(f.Doc, 200))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// formHint says how a form is answered.
func formHint(t types.Type) string {
	switch {
	case t.Kind != types.Record || len(t.Fields) == 0:
		return "accept/decline"
	case len(t.Fields) == 1:
		return screen.Inert(t.Fields[0].Name) + ", or decline"
	}
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = fmt.Sprintf("%q: …", f.Name)
	}
	return "{" + screen.Inert(strings.Join(names, ", ")) + "}, or decline"
}

// readForm reads what a person says to a form: decline; accept, where nothing is to be filled in; a value, where one field is; else the fields as JSON.
func readForm(t types.Type, text string) (any, error) {
	if strings.EqualFold(text, run.Decline) {
		return run.Decline, nil
	}
	needed := 0
	for _, f := range t.Fields {
		if !f.Type.Optional {
			needed++
		}
	}
	if strings.EqualFold(text, "accept") && needed == 0 {
		return map[string]any{}, nil
	}
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) == nil && fields != nil {
		return fields, nil
	}
	if len(t.Fields) == 1 && text != "" {
		only := t.Fields[0]
		return map[string]any{only.Name: readResult(only.Type, text)}, nil
	}
	return nil, fmt.Errorf("please answer with %s", formHint(t))
}

// interruptedForm is the kind of the question what became of a call that was cut off.
const interruptedForm = "interrupted"

// readVerdict reads what a person says about a call that was cut off: done, done and its value, again, fail.
func readVerdict(f run.Form, line string) (any, error) {
	word, value, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	switch word = strings.ToLower(strings.TrimSpace(word)); {
	case word == "done" && strings.TrimSpace(value) != "":
		return map[string]any{"done": readResult(f.Type, value)}, nil
	case strings.TrimSpace(value) == "" && (word == "done" || word == "again" || word == "fail"):
		return word, nil
	}
	return nil, errors.New("please answer done (with the value, if there is one), again or fail")
}

// readResult reads the value of a call. A text does not need its quotes, and is a text also when it looks like a number.
func readResult(t types.Type, text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	if _, quoted := v.(string); !quoted && t.Kind == types.String {
		return text
	}
	return v
}
