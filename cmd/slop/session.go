package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/slopstudios/slop/cmd/slop/form"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/wire"
)

// session takes one run from its start to its end: it shows what happens, puts questions to the person, and hears Ctrl-C.
type session struct {
	c      *console
	runs   runs.Runs
	plan   *plan.Plan
	redact func(string) string // blacks out the values of secrets
	screen screen.Screen       // nil: nothing is shown
	events *outlet             // nil: events are not written

	state *state // where the run is kept; nil: it ends with this process
	leave func() // ends this process's work on a run that is kept; called once
	stays bool   // a question that nobody here can answer is waited for

	troubles <-chan error // of the store: nil when one is over

	id          run.ID
	folder      *runs.Folder
	kept        run.Seq     // of a fork: its facts up to here were taken over
	past        run.Seq     // what happened up to here happened before this process took the run up
	seen        run.Seq     // of the newest fact that was shown
	reading     bool        // a fact of the past is being shown
	alone       bool        // standard input has ended: nobody types any more
	answered    bool        // every question has been answered: nobody is asked
	notes       []wire.Note // what followed from the facts so far, for --json
	unasked     *run.Asked  // the question nobody was there to answer
	interrupted bool
	records     bool           // facts are kept
	facts       []run.Fact     // of a run that is recorded
	unread      bool           // the reader of the events went away
	questions   []*run.Asked   // the first stands on the terminal
	dialogue    *form.Dialogue // about the question that stands on the terminal
	listener    *listener      // nil until the first question
}

// Why play ends before the run does.
var (
	errAtOnce = errors.New("ended at once")                 // the person does not want to wait for the end
	errLeft   = errors.New("the run is left where it is")   // it is kept, and this process ends
	errWaits  = errors.New("the run waits for an answer")   // it is kept, and nobody is here to answer
	errUnread = errors.New("nobody reads the run's events") // it is kept, and whoever read its events went away
)

func (s *session) agent(path run.Path) string {
	step, _ := s.folder.Step(path)
	return step.Agent
}

// start begins a new run.
func (s *session) start(values map[string]any, options run.Options) func(context.Context) (run.ID, error) {
	return func(ctx context.Context) (run.ID, error) { return s.runs.Start(ctx, s.plan, values, options) }
}

// play lets begin start the run, or take it up, and returns its end. A failed run is no error.
func (s *session) play(ctx context.Context, begin func(context.Context) (run.ID, error)) (end run.Finished, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	pipes := make(chan os.Signal, 1) // asked for, a write to nobody is an error and not the end of this process, which would leave commands behind
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	if s.screen != nil {
		defer s.screen.Close()
	}
	defer func() {
		s.silence()
		if s.listener != nil {
			s.listener.close()
		}
	}()

	s.folder = runs.Fold(s.plan)
	s.notes = []wire.Note{}
	if s.id, err = begin(ctx); err != nil {
		return end, err
	}
	s.folder.Named(s.id)
	if s.events != nil {
		s.writeHeader()
	}
	events := make(chan runs.Event)
	failed := make(chan error, 1)
	go func() {
		defer close(events)
		for e, err := range s.runs.Watch(ctx, s.id, 0) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()

	for {
		select {
		case e, ok := <-events:
			if !ok {
				select {
				case err := <-failed:
					if s.state != nil && errors.Is(err, runs.ErrClosed) {
						return end, s.parting()
					}
					return end, fmt.Errorf("watch the run: %w", err)
				default:
				}
				return s.runs.Wait(ctx, s.id)
			}
			s.take(ctx, e)
		case <-signals:
			if s.interrupted {
				return end, errAtOnce
			}
			s.interrupted = true
			if s.state != nil {
				s.say("stopping: what changes the world is waited for, all else is ended; the run is kept (Ctrl-C again: at once)")
				s.part()
				continue
			}
			s.say("stopping: what is under way is being ended (Ctrl-C again: at once)")
			if err := s.runs.Cancel(ctx, s.id, "user", "interrupted"); err != nil && !errors.Is(err, runs.ErrFinished) {
				return end, err
			}
		case err := <-s.troubles:
			s.sayStore(err)
		case line, ok := <-s.answers():
			s.answer(ctx, line, ok)
		case <-s.deadline():
			s.nextQuestion("the time for an answer is over")
		}
		if s.idle() && !s.interrupted {
			return end, errWaits
		}
	}
}

// part ends this process's work on a run that is kept. What ends meanwhile is still seen.
func (s *session) part() {
	if s.leave == nil {
		return
	}
	leave := s.leave
	s.leave = nil
	go leave()
}

// parting says why the run was left.
func (s *session) parting() error {
	if s.unread && !s.interrupted {
		return errUnread
	}
	return errLeft
}

// idle reports that the run, which is kept, goes on when somebody answers, and that nobody here can.
func (s *session) idle() bool {
	return s.state != nil && !s.stays && !s.asks() && !s.behind() && s.folder.Status() == run.Waiting && len(waiting(s.folder.View())) > 0
}

// asks reports whether a person can be asked here.
func (s *session) asks() bool { return s.c.asks && !s.alone }

// behind reports that what is shown happened before this process took the run up.
func (s *session) behind() bool { return s.seen < s.past || s.reading }

func (s *session) take(ctx context.Context, e runs.Event) {
	var notes []run.Note
	if e.Fact != nil {
		notes = s.folder.Add(*e.Fact)
		if s.records {
			s.facts = append(s.facts, *e.Fact)
		}
		s.seen = e.Fact.Seq
		s.reading = s.seen <= s.past
	}
	if s.events != nil {
		s.writeEvent(e)
		if s.events.fault() != nil && !s.unread {
			s.unread = true
			if s.state != nil {
				s.part()
			} else {
				_ = s.runs.Cancel(ctx, s.id, "slop run", "nobody reads its events") // finished meanwhile: nothing to end
			}
		}
	}
	if s.screen != nil && (e.Fact == nil || e.Fact.Seq > s.kept || s.c.live) { // line by line only what happens is told
		s.screen.Event(e)
	}
	if e.Fact == nil {
		return
	}
	for i := range notes {
		s.note(&notes[i], e.Fact.At)
	}
	switch body := e.Fact.Body.(type) {
	case *run.Asked:
		s.ask(ctx, body)
	case *run.Answered:
		s.withdraw(body.Path)
	case *run.Finished:
		for len(s.questions) > 0 {
			s.nextQuestion("")
		}
	}
	if s.seen == s.past {
		s.reading = false
		if len(s.questions) > 0 {
			s.show(s.questions[0]) // it was asked before
		}
	}
}

// maxNotes is how many notes --json keeps: a loop of many rounds has as many.
const maxNotes = 10_000

// note shows what follows from the fact before it.
func (s *session) note(n *run.Note, at time.Time) {
	if s.screen != nil {
		s.screen.Note(n, at)
	}
	if s.events != nil {
		frame, err := s.frames().Note(n, at)
		s.writeFrame(frame, err)
		return
	}
	if len(s.notes) < maxNotes {
		s.notes = append(s.notes, wire.NoteOf(n, at))
	}
}

// say writes a line about the run itself.
func (s *session) say(text string) {
	if s.screen != nil {
		s.screen.Hold()
		defer s.screen.GoOn()
	}
	if len(s.questions) > 0 && !s.behind() {
		fmt.Fprintln(s.c.err) // behind the prompt
	}
	fmt.Fprintln(s.c.err, text)
}

func (s *session) writeHeader() {
	s.writeLine(map[string]any{
		"schemaVersion": wire.SchemaVersion, "kind": "run", "id": s.id, "flow": s.plan.Name, "plan": plan.Hash(s.plan),
		"slop": versionText(), "at": time.Now().UTC(),
	})
}

// frames makes what --events prints.
func (s *session) frames() *wire.Frames { return &wire.Frames{ID: s.id, Folder: s.folder} }

func (s *session) writeEvent(e runs.Event) {
	if e.Fact != nil {
		frame, err := s.frames().Fact(*e.Fact)
		s.writeFrame(frame, err)
		return
	}
	frame, err := s.frames().Progress(e.Progress)
	s.writeFrame(frame, err)
}

func (s *session) writeFrame(frame []byte, err error) {
	if err != nil {
		s.writeLine(map[string]any{"kind": "error", "message": err.Error()})
		return
	}
	fmt.Fprintf(s.events, "%s\n", s.redact(string(frame)))
}

func (s *session) writeLine(line any) {
	text, err := json.Marshal(line)
	if err == nil {
		fmt.Fprintf(s.events, "%s\n", s.redact(string(text)))
	}
}
