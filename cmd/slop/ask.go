package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/slopstudios/slop/cmd/slop/form"
	"github.com/slopstudios/slop/cmd/slop/screen"
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
	for _, line := range form.Actions(q.Form) {
		fmt.Fprintln(s.c.err, "  "+s.redact(line))
	}
	if !q.Deadline.IsZero() {
		fmt.Fprintln(s.c.err, st.Dim("(until "+q.Deadline.Local().Format("Mon 2 Jan 15:04")+")"))
	}
	for i, choice := range q.Form.Choices {
		if q.Form.Kind != run.ApproveForm && q.Form.Kind != run.InterruptedForm {
			fmt.Fprintf(s.c.err, "  %d  %s\n", i+1, screen.Inert(choice))
		}
	}
	s.begin(q)
}

// begin asks for the answer from its beginning.
func (s *session) begin(q *run.Asked) {
	s.silence()
	s.dialogue = form.New(q.Form)
	fmt.Fprint(s.c.err, s.dialogue.Prompt())
}

// silence ends the dialogue about a question that is asked no more.
func (s *session) silence() {
	if s.dialogue != nil {
		s.dialogue.Close()
		s.dialogue = nil
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
	done, err := s.dialogue.Line(line)
	if !done {
		s.c.complain(err)
		fmt.Fprint(s.c.err, s.dialogue.Prompt())
		return
	}
	value, reason := s.dialogue.Answer()
	switch err = s.runs.Answer(ctx, s.id, q.Path, runs.Because(value, reason), whoami()); {
	case err == nil, errors.Is(err, runs.ErrNotAsked), errors.Is(err, runs.ErrFinished):
		s.nextQuestion("")
	case errors.Is(err, runs.ErrAnswered):
		s.nextQuestion(screen.Inert(err.Error()))
	default:
		s.c.complain(err)
		s.begin(q)
	}
}

// complain says what is wrong with a line that was typed.
func (c *console) complain(err error) {
	if err != nil {
		fmt.Fprintln(c.err, c.style.Red(screen.Inert(err.Error())))
	}
}

// nextQuestion takes the first question off the terminal and shows the next, or the run again.
func (s *session) nextQuestion(why string) {
	if why != "" && !s.behind() {
		fmt.Fprintln(s.c.err, s.c.style.Dim("\n("+why+")"))
	}
	s.silence()
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
