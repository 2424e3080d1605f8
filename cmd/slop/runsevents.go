package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

type runsEventsCmd struct {
	Follow bool `short:"f" help:"Go on with what comes, until the run ends."`
	runArg `embed:""`
}

func (runsEventsCmd) Help() string {
	return "The lines are those of slop run --events ndjson, without the progress of calls."
}

func (v *runsEventsCmd) Run(c *console) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	s := h.session(c, st)
	s.events = c.out
	s.writeHeader()
	return s.tell(ctx, h, v.Follow, nil)
}

type runsLogsCmd struct {
	Follow bool `short:"f" help:"Go on with what comes, until the run ends."`
	runArg `embed:""`
}

func (v *runsLogsCmd) Run(c *console) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	s := h.session(c, st)
	w := &stamped{w: c.out, style: c.outStyle}
	s.screen = screen.NewLines(w, c.outStyle, s.agent)
	return s.tell(ctx, h, v.Follow, w)
}

// tell shows what is stored of a run, and with follow what comes.
func (s *session) tell(ctx context.Context, h *history, follow bool, w *stamped) error {
	show := func(f *run.Fact) {
		if w != nil {
			w.at = f.At
			w.own(f)
		}
		s.take(ctx, runs.Event{Fact: f})
	}
	for i := range h.facts {
		show(&h.facts[i])
	}
	if !follow || h.finished() != nil {
		return nil
	}
	for f, err := range s.state.store.Tail(ctx, h.id, h.facts[len(h.facts)-1].Seq) {
		switch {
		case ctx.Err() != nil:
			return &exit{code: exitInterrupted}
		case err != nil:
			return s.state.unusable(err)
		}
		show(&f)
		if s.c.out.fault() != nil {
			return nil // nobody reads any more
		}
	}
	return nil
}

// stamped writes lines with the time at which something happened before them.
type stamped struct {
	w     io.Writer
	style screen.Style
	at    time.Time
}

func (s *stamped) Write(line []byte) (int, error) {
	if _, err := fmt.Fprint(s.w, s.style.Dim(stamp(s.at)), " "); err != nil {
		return 0, err
	}
	return s.w.Write(line)
}

// own writes what a fact says of the run as a whole.
func (s *stamped) own(f *run.Fact) {
	by := func(who, reason string) string {
		text := ""
		if who != "" {
			text += " by " + screen.OneLine(who, 80)
		}
		if reason != "" {
			text += ": " + screen.OneLine(reason, 300)
		}
		return text
	}
	text := ""
	switch b := f.Body.(type) {
	case *run.Started:
		text = "started" + by(b.Options.By, "")
	case *run.PauseAsked:
		text = "paused" + by(b.By, b.Reason)
	case *run.ResumeAsked:
		text = "goes on" + by(b.By, b.Reason)
	case *run.CancelAsked:
		text = "cancelled" + by(b.By, b.Reason)
	case *run.Finished:
		text = string(b.Status)
		if b.Error != nil {
			text += " " + b.Error.Code + ": " + screen.OneLine(b.Error.Message, 500)
		}
	default:
		return
	}
	_, _ = fmt.Fprintln(s, "run "+text) // the outlet remembers what fails
}
