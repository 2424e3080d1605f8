package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

type resumeCmd struct {
	showFlags  `embed:""`
	Trust      bool `help:"Trust the project's slop.toml, and remember that until it changes."`
	Detach     bool `short:"d" help:"Let it work in the background."`
	recordFlag `embed:""`
	stateFlag  `embed:""`
	Background bool   `hidden:""` // this process is the one that works in the background
	ID         string `arg:"" optional:"" help:"The run, or the beginning of its id."`
}

func (resumeCmd) Help() string {
	return "Goes on with a run that was interrupted, stopped or waits, where it was: nothing that is stored runs again. It prints what slop run would have printed, " +
		"with the same exit code. Of a run that has ended it prints the end once more. Keys and slop.toml are read anew."
}

func (v *resumeCmd) Run(c *console) error {
	switch {
	case v.ID == "":
		return usage("slop resume needs a run: slop resume ID; `slop runs` lists them")
	case v.Detach && v.Out != "":
		return usage("--detach does not wait for the files; when the run has ended: slop resume ID -o DIR")
	case v.Detach && v.Record != "":
		return usage("--detach does not wait for the answers that --record writes; when the run has ended: slop resume ID --record DIR")
	case v.Detach && (v.Events != "" || v.JSON):
		return usage("--detach shows nothing; what came of it: slop runs show ID --json, slop runs events ID")
	}
	if err := cmp.Or(v.check(), v.findRecord()); err != nil {
		return err
	}
	v.Verbose = v.Verbose || v.Background // nobody watches: what is written is all that is known later
	ctx := context.Background()
	st, err := v.open(ctx)
	if err != nil {
		return err
	}
	id, err := st.find(ctx, v.ID)
	if err != nil {
		st.close()
		return err
	}
	h, err := st.history(ctx, id)
	if err != nil {
		st.close()
		return err
	}
	if h.finished() != nil {
		return v.again(c, st, h)
	}
	if err := st.mayWork(ctx, h); err != nil {
		st.close()
		return err
	}
	pr, err := h.project()
	if err == nil {
		err = c.trust(pr, v.Trust)
	}
	if err == nil {
		err = pr.missingSecrets(h.plan.Secrets)
	}
	if err != nil {
		st.close()
		return err
	}
	if pr.config.Run.Color != "" {
		c.configured(pr.config.Run.Color)
	}
	pr.ready(ctx, h.plan)
	host := storedHost(pr, st, v.log(c))
	defer host.close()
	if v.Detach {
		return st.background(c, id)
	}
	s := v.session(c, pr, host, h.plan)
	s.past = h.facts[len(h.facts)-1].Seq
	s.stays = v.Background
	begin := func(ctx context.Context) (run.ID, error) { return id, st.takeUp(ctx, host, h, v.Background) }
	return v.presentAndRecord(c, v.showFlags, host, s, begin, h.started.Options)
}

// takeUp lets this process work on a run.
func (s *state) takeUp(ctx context.Context, h *host, of *history, background bool) error {
	switch err := h.engine.Adopt(ctx, of.id); {
	case errors.Is(err, store.ErrHeld):
		return s.held(ctx, of.id)
	case err != nil && !errors.Is(err, runs.ErrFinished): // it has ended meanwhile, which shows
		return err
	}
	if background {
		announce()
	}
	if of.fold().Status() != run.Paused {
		return nil
	}
	if err := h.engine.Resume(ctx, of.id, whoami(), "slop resume"); err != nil && !errors.Is(err, runs.ErrFinished) {
		return err
	}
	return nil
}

// again shows the end of a run that has ended, and runs nothing.
func (v *resumeCmd) again(c *console, st *state, h *history) error {
	host := storedHost(noProject(), st, nil)
	defer host.close()
	if v.Record != "" && len(h.plan.Secrets) > 0 { // what is stored holds no secret; should one have become a secret since, it is not recorded all the same
		if pr, err := h.project(); err == nil {
			host.know(pr, h.plan.Secrets)
		}
	}
	s := v.session(c, noProject(), host, h.plan)
	s.past = h.facts[len(h.facts)-1].Seq
	return v.presentAndRecord(c, v.showFlags, host, s, func(context.Context) (run.ID, error) { return h.id, nil }, h.started.Options)
}

// mayWork reports whether this process may take up a run.
func (s *state) mayWork(ctx context.Context, h *history) error {
	if _, _, ok := h.folder(); !ok {
		return usage("run %s is carried out by a server (pool %q), which takes it up by itself", h.id, h.started.Options.Pool)
	}
	switch who, err := s.holder(ctx, h.id); {
	case err != nil:
		return s.unusable(err)
	case who != "":
		return s.held(ctx, h.id)
	}
	return nil
}

// held says who is at work on a run, and what can be done.
func (s *state) held(ctx context.Context, id run.ID) error {
	who, err := s.holder(ctx, id)
	if err != nil || who == "" {
		who = "another process"
	}
	return usage("%s is at work on run %s\n  watch it:  slop runs logs -f%s %s\n  end it:    slop runs cancel%s %s", who, id, s.said, id, s.said, id)
}

// project opens the project of a run, in the folder it was begun in, which becomes that of this process.
func (h *history) project() (*project, error) {
	folder, script, _ := h.folder()
	if err := os.Chdir(folder); err != nil {
		return nil, usage("run %s was begun in a folder that cannot be entered: %s", h.id, plainPathError(err))
	}
	if script != "-" {
		if info, err := os.Stat(filepath.Dir(script)); err != nil || !info.IsDir() {
			return nil, usage("run %s was begun with %s in %s, and that folder is gone", h.id, script, folder)
		}
	}
	return openProject(script)
}

// secrets reads the secrets of the run's project, as far as it can be opened; nil for a run that has none.
func (h *history) secrets() func(name string) (string, error) {
	if len(h.plan.Secrets) == 0 {
		return nil
	}
	pr, err := h.project()
	if err != nil {
		pr = noProject()
	}
	return pr.secret
}

// whoami names the person behind a request, for the history.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

// forkLine is the command that would try a failed run again without repeating what went well.
func (s *session) forkLine(end run.Finished) string {
	if s.state == nil || end.Status != run.Failed || end.Error == nil {
		return ""
	}
	if _, ok := s.folder.Step(end.Error.Path); !ok {
		if len(s.folder.View().Steps) == 0 {
			return ""
		}
		// of a gate, which would fail again: something before it has to be other than it was
		return fmt.Sprintf("to try again from an earlier step: slop runs fork%s %s --from STEP", s.state.said, s.id)
	}
	return fmt.Sprintf("to try again from there: slop runs fork%s %s --from %s", s.state.said, s.id, shellWord(string(end.Error.Path.Step())))
}
