package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/process"
)

// Program says how a program is run.
type Program struct {
	Name    string   // of the agent, for messages
	Command []string // program and arguments; no shell is involved
	Folder  string   // where it works; "" is ours
	Env     []string // names of further environment variables that it may see
	Grace   time.Duration
}

// NewProgram returns an agent that runs a program. It is started with the first call, or by Describe, and again when it ended; several of it run when it takes
// fewer calls at a time than are made.
func NewProgram(p Program) *Agent {
	if p.Grace == 0 {
		p.Grace = cancelGrace
	}
	account := strings.Join(append(append([]string{"program", p.Folder}, p.Command...), p.Env...), "\x00")
	return newAgent(p.Name, account, func(ctx context.Context) (*session, error) { return start(ctx, p) })
}

// stdio is the wire to a program: its standard input and output.
type stdio struct {
	in   *os.File
	stop context.CancelCauseFunc
	gone chan struct{} // closed when the program and all it started are gone
	shut sync.Once
}

var errEnded = errors.New("the connection ends")

// start starts a program. It is ended by its wire, not by ctx.
func start(ctx context.Context, p Program) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("no pipe to the program: %w", err)
	}
	life, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	w := &stdio{in: write, stop: stop, gone: make(chan struct{})}
	s := newSession(w)
	l := &lines{each: s.receive}
	command := process.Command{
		Argv: p.Command, Dir: p.Folder, Env: process.Environ(p.Env...), Input: read, Grace: p.Grace, Sweep: true,
		Out: func(chunk []byte) {
			if !l.write(chunk) {
				l.rest = nil
				s.lost(fmt.Errorf("it sent a line longer than %d MiB", maxLine>>20))
			}
		},
	}
	go func() {
		defer close(w.gone)
		result, err := process.Run(life, command)
		read.Close()
		stop(nil)
		w.closeIn()
		if len(l.rest) > 0 {
			s.receive(l.rest) // a last line without its end
		}
		s.lost(ending(p, result, err))
	}()
	return s, nil
}

// ending says how a program ended that nobody told to.
func ending(p Program, r process.Result, err error) error {
	name := filepath.Base(p.Command[0])
	last := ""
	if tail := outcome.Brief(string(r.Stderr), 1000, true); tail != "" {
		last = ":\n" + tail
	}
	switch {
	case errors.Is(err, process.ErrNotFound):
		return fmt.Errorf("the program %s is not there: is it installed, and does `command` in slop.toml name it?", p.Command[0])
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be run: is it executable?", p.Command[0])
	case err != nil:
		return fmt.Errorf("%s could not be run: %w", name, err)
	case r.Signal != "":
		return fmt.Errorf("%s was ended by a signal (%s)%s", name, r.Signal, last)
	}
	return fmt.Errorf("%s ended with code %d%s", name, r.Code, last)
}

func (w *stdio) send(ctx context.Context, line []byte) error {
	deadline, _ := ctx.Deadline()
	_ = w.in.SetWriteDeadline(deadline) // where pipes have no deadlines, it waits for the program
	_, err := w.in.Write(line)
	return err
}

// end closes the program's input, which tells it to end; whoever does not is made to.
func (w *stdio) end() {
	w.closeIn()
	patience := time.NewTimer(leaveTime)
	defer patience.Stop()
	select {
	case <-w.gone:
		return
	case <-patience.C:
	}
	w.stop(errEnded)
	<-w.gone
}

// leaveTime is how long a program has to end by itself once its input is closed.
const leaveTime = 500 * time.Millisecond

func (w *stdio) closeIn() { w.shut.Do(func() { w.in.Close() }) }
