package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

type runsPruneCmd struct {
	Keep      string `placeholder:"AGE" default:"30d" help:"Keep runs that ended less than this long ago (30d). Runs that have not ended are always kept."`
	DryRun    bool   `name:"dry-run" help:"Say what would be removed, and remove nothing."`
	stateFlag `embed:""`
}

func (v *runsPruneCmd) Run(c *console) error {
	keep, err := plan.ParseDuration(v.Keep)
	if err != nil {
		return usage("--keep %s: %s", v.Keep, err)
	}
	if server := os.Getenv("SLOP_SERVER"); server != "" && v.State == "" {
		return usage("SLOP_SERVER names the runs of %s, which are removed where they are kept; for those here: SLOP_SERVER= slop runs prune", server)
	}
	ctx := context.Background()
	st, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	gone, err := st.forget(ctx, time.Now().Add(-keep), v.DryRun)
	if err != nil {
		return st.unusable(err)
	}
	verb := "removed"
	if v.DryRun {
		verb = "would remove"
	}
	swept, err := st.sweep(ctx, gone, v.DryRun)
	if err != nil {
		fmt.Fprintf(c.out, "%s %s\n", verb, plural(len(gone), "run"))
		return err
	}
	if !v.DryRun {
		if err := shrink(ctx, st.store); err != nil {
			return st.unusable(err)
		}
	}
	st.processes.Tidy()
	if !v.DryRun {
		if _, err := st.removeWork(ctx); err != nil {
			fmt.Fprintln(c.err, "working folders of runs that are gone could not be removed: "+plainPathError(err).Error())
		}
	}
	fmt.Fprintf(c.out, "%s %s and %s (%s)\n", verb, plural(len(gone), "run"), plural(swept.count, "value"), size(swept.bytes))
	return nil
}

func size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// forget removes the runs that ended before a time, with their logs, and returns them.
func (s *state) forget(ctx context.Context, before time.Time, dry bool) ([]run.ID, error) {
	filter := store.Filter{
		Status: []run.Status{run.Succeeded, run.Failed, run.Cancelled}, Limit: store.MaxLimit,
		Cursor: store.Entry{Started: before}.Cursor(), // what ended before was begun before
	}
	var gone []run.ID
	for {
		entries, next, err := s.store.List(ctx, filter)
		if err != nil {
			return gone, err
		}
		for _, e := range entries {
			if e.Finished.IsZero() || !e.Finished.Before(before) {
				continue
			}
			if !dry {
				if err := s.store.Remove(ctx, e.Run); err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrHeld) {
					return gone, err
				}
				_ = os.Remove(s.logFile(e.Run))                           // there may be none
				_ = removeAll(filepath.Join(s.work(), folderName(e.Run))) // what is left of it, the next prune removes
			}
			gone = append(gone, e.Run)
		}
		if filter.Cursor = next; next == "" {
			return gone, nil
		}
	}
}

// sweepGrace is the age below which a value is kept though no fact names it: the fact may be on its way.
const sweepGrace = time.Hour

type swept struct {
	count int
	bytes int64
}

// sweep drops what has expired, and the values that no fact of any run names, as if gone were no more, and neither shared state nor the cache.
func (s *state) sweep(ctx context.Context, gone []run.ID, dry bool) (swept, error) {
	var w swept
	before := time.Now().Add(-sweepGrace) // read before the marks are: what is put from here on stays
	lost := map[run.ID]bool{}
	for _, id := range gone {
		lost[id] = true
	}
	if !dry {
		if _, err := engine.Expire(ctx, s.store, time.Now()); err != nil {
			return w, s.unusable(err)
		}
	}
	named, err := s.named(ctx, lost)
	if err != nil {
		return w, err
	}
	var drop []store.Blob
	for b, err := range s.store.AllBlobs(ctx) {
		if err != nil {
			return w, s.unusable(err)
		}
		if !named[b.Hash] && b.Put.Before(before) {
			drop = append(drop, b)
		}
	}
	for _, b := range drop {
		if !dry {
			if err := s.store.DropBlob(ctx, b.Hash, before); err != nil {
				return w, s.unusable(err)
			}
		}
		w.count++
		w.bytes += b.Size
	}
	return w, nil
}

// named marks the values that facts name.
func (s *state) named(ctx context.Context, without map[run.ID]bool) (map[string]bool, error) {
	named := map[string]bool{}
	mark := func(id run.ID, damage error) error {
		if without[id] {
			return nil
		}
		facts, err := s.store.Load(ctx, id, 0)
		switch {
		case damage != nil: // perhaps of its name: what is not found under it may be there
			return &exit{exitUnreachable, fmt.Errorf("no value was removed, since a run cannot be read: %w", damage)}
		case errors.Is(err, store.ErrNotFound):
			return nil // removed meanwhile
		case err != nil:
			return &exit{exitUnreachable, fmt.Errorf("no value was removed, since run %s cannot be read: %w", id, err)}
		}
		for _, f := range facts {
			f.Blobs(func(hash string) { named[hash] = true })
		}
		return nil
	}
	if err := s.each(ctx, mark); err != nil {
		return nil, err
	}
	// Last: a value that moves from a run into shared state while we look is found in one of them.
	if err := engine.NamedBlobs(ctx, s.store, func(hash string) { named[hash] = true }); err != nil {
		return nil, s.unusable(err)
	}
	return named, nil
}

// each visits every run: those the index knows, then those that only the logs do. A store that can name all of them is asked for them, since its index may
// have lost one; damage says that the store is not sure of a run's name.
func (s *state) each(ctx context.Context, visit func(id run.ID, damage error) error) error {
	if all, ok := everyRun(ctx, s.store); ok {
		for id, err := range all {
			if err != nil && !errors.Is(err, store.ErrCorrupt) {
				return s.unusable(err)
			}
			if err := visit(id, err); err != nil {
				return err
			}
		}
		return nil
	}
	seen := map[run.ID]bool{}
	filter := store.Filter{Limit: store.MaxLimit}
	for {
		entries, next, err := s.store.List(ctx, filter)
		if err != nil {
			return s.unusable(err)
		}
		for _, e := range entries {
			seen[e.Run] = true
			if err := visit(e.Run, nil); err != nil {
				return err
			}
		}
		if filter.Cursor = next; next == "" {
			break
		}
	}
	for id, err := range s.store.Unfinished(ctx, "") {
		if err != nil {
			return s.unusable(err)
		}
		if !seen[id] {
			if err := visit(id, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func isCursor(err error) bool { return errors.Is(err, store.ErrCursor) }
