package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// detach stores a run, prints its id, and leaves the work to a process in the background.
func detach(c *console, h *host, r prepared) error {
	id, err := h.engine.Submit(context.Background(), r.plan, r.values, r.options)
	if errors.Is(err, runs.ErrInput) {
		return &exit{exitUsage, err}
	}
	if err != nil {
		return h.state.unusable(err)
	}
	fmt.Fprintln(c.out, id)
	return h.state.background(c, id)
}

// readyVar tells a process in the background which of its files says that it is at work.
const readyVar = "SLOP_READY_FD"

// maxStart is how long a process in the background may take until it is at work.
const maxStart = 30 * time.Second

// background starts a process that goes on with a run, and waits until it does.
func (s *state) background(c *console, id run.ID) error {
	retry := func(err error) error {
		return &exit{exitUnreachable, fmt.Errorf("run %s is kept, but nothing works on it: %w\n  its log: %s\n  go on with it here: slop resume%s %s", id, err, s.logFile(id), s.said, id)}
	}
	if err := os.MkdirAll(filepath.Dir(s.logFile(id)), 0o700); err != nil {
		return retry(err)
	}
	log, err := os.OpenFile(s.logFile(id), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return retry(err)
	}
	defer func() { _ = log.Close() }()
	ready, says, err := os.Pipe()
	if err != nil {
		return retry(err)
	}
	defer func() { _ = ready.Close() }()
	args := []string{"resume", "--background", "--color=never"}
	if s.server == "" {
		args = append(args, "--state", s.folder)
	}
	err = spawn(log, says, s.environment(), append(args, string(id))...)
	_ = says.Close()
	if err != nil {
		return retry(err)
	}
	_ = ready.SetReadDeadline(time.Now().Add(maxStart))
	word, err := io.ReadAll(ready)
	switch {
	case err != nil:
		return retry(err)
	case len(word) == 0:
		return retry(errors.New("the process in the background has ended"))
	}
	fmt.Fprintln(c.err, c.style.Dim(fmt.Sprintf("works in the background: slop runs logs -f%s %s", s.said, id)))
	return nil
}
