package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/cmd/slop/trial"
	"github.com/slopstudios/slop/runtime/agent/cassette"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// recordFlag says where the answers of a run are kept for tests.
type recordFlag struct {
	Record string `placeholder:"DIR" help:"Afterwards write what agents and people answered into a folder, for --replay DIR of slop run and slop test."`
	folder string `kong:"-"` // the same, whatever folder this process goes to
}

// findRecord looks for what is wrong with the folder before anything runs.
func (v *recordFlag) findRecord() (err error) {
	v.folder, err = findFolder("--record", v.Record)
	return err
}

// presentAndRecord takes a run to its end, prints what the flags ask for and records it if they do.
func (v recordFlag) presentAndRecord(c *console, show showFlags, h *host, s *session, begin func(context.Context) (run.ID, error), o run.Options) error {
	s.records = v.Record != ""
	err := show.present(c, h, s, begin, o)
	if !s.records {
		return err
	}
	if lost := v.record(c, h, s, show.Quiet); lost != nil {
		if err == nil {
			return &exit{exitFailed, lost}
		}
		fmt.Fprintln(c.err, lost.Error())
	}
	return err
}

// record writes the run of s when it has ended.
func (v recordFlag) record(c *console, h *host, s *session, quiet bool) error {
	if len(s.facts) == 0 {
		return nil // it never began, which is said already
	}
	ctx := context.Background()
	of := &travel.History{ID: s.id, Plan: s.plan, Facts: s.facts}
	blobs := map[string][]byte{}
	var err error
	for _, hash := range of.Blobs() {
		if blobs[hash], err = h.store.GetBlob(ctx, hash); err != nil {
			return fmt.Errorf("the run is not recorded: a large value: %w", err)
		}
	}
	r, err := cassette.Record(of, blobs, h.redact)
	if errors.Is(err, cassette.ErrNotEnded) {
		text := "the run is not recorded: it did not come to an end of its own"
		if s.state != nil {
			text += fmt.Sprintf("; when it has: slop resume%s %s --record %s", s.state.said, s.id, shellWord(v.Record))
		}
		return errors.New(text)
	}
	if err != nil {
		return fmt.Errorf("the run is not recorded: %w", err)
	}
	path, err := r.Save(v.folder, h.redact)
	if err != nil {
		return fmt.Errorf("the run is not recorded: %w", plainPathError(err))
	}
	if !quiet {
		fmt.Fprintf(c.err, "recorded %s in %s\n", plural(len(r.Calls), "answer"), screen.OneLine(filepath.ToSlash(filepath.Join(v.Record, filepath.Base(path))), 300))
	}
	return nil
}

// tapes are the recordings of a folder.
type tapes struct {
	all  []*cassette.Recording
	used map[*cassette.Recording]bool
}

// recordings reads what a script may be answered from; nothing when no folder is named.
func recordings(folder, script string) (tapes, error) {
	t := tapes{used: map[*cassette.Recording]bool{}}
	if folder == "" {
		return t, nil
	}
	all, err := cassette.Load(folder)
	if errors.Is(err, os.ErrNotExist) && !exists(folder) {
		return t, usage("there is no folder %s; %s makes it", folder, again(script, folder, nil))
	}
	if err != nil {
		return t, usage("%s", plainPathError(err))
	}
	t.all = all
	return t, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// of gives the recordings of a flow.
func (t tapes) of(flow string) []*cassette.Recording {
	found := cassette.Named(t.all, flow)
	for _, r := range found {
		t.used[r] = true
	}
	return found
}

// again is the command that records a script with the inputs of a recording.
func again(script, folder string, r *cassette.Recording) string {
	command := "slop run " + shellWord(script) + " --record " + shellWord(folder)
	if r == nil {
		return command
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		value := "…"
		if text, ok := r.Inputs[name].(string); ok && len(text) <= 60 && !strings.HasPrefix(text, "@") && !strings.Contains(text, "\n") {
			value = text
		}
		command += " -i " + name + "=" + shellWord(value)
	}
	return command
}

// problemOf is what is wrong with a test or a replay, with what changed and how to record again.
func problemOf(script, folder string, r *cassette.Recording, p trial.Problem) problemReport {
	out := problemReport{p.At.File, p.At.Line, p.At.Column, p.Message, p.Detail}
	if p.Was != p.Is {
		out.Detail = strings.TrimRight(difference("", p.Was, p.Is), "\n")
		for range 3 { // two names of files and where in them: it is the whole
			_, out.Detail, _ = strings.Cut(out.Detail, "\n")
		}
	}
	if p.Again {
		lead := "record again: "
		if out.Detail != "" {
			lead = "\n" + lead
		}
		out.Detail += lead + again(script, folder, r)
		if r != nil && r.Name != "" && len(r.Inputs) > 0 {
			out.Detail += "\n(with other inputs it is another file: remove " + filepath.ToSlash(r.Name) + ")"
		}
	}
	return out
}

// sayStrays names the recordings that belong to none of the scripts.
func (c *console) sayStrays(t tapes) {
	for _, r := range t.all {
		if !t.used[r] {
			fmt.Fprintf(c.err, "%s is not played: it is of the flow %s\n", screen.Inert(r.Name), screen.Inert(r.Flow))
		}
	}
}
