package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/metrics"
	"github.com/slopstudios/slop/runtime/roster"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/server"
)

// serverPool is the pool of the runs that servers begin, and that servers and workers work on.
const serverPool = "server"

// drainTime is how long calls under way may take to end when a server is told to.
const drainTime = 30 * time.Second

// shareFlags are of the processes that work on the runs of servers.
type shareFlags struct {
	Redis     string `placeholder:"URL" help:"Keep runs on this Redis, which other servers and workers share. SLOP_STORE keeps a password out of sight."`
	Trust     bool   `help:"Trust the slop.toml that counts here, and remember it."`
	Verbose   bool   `short:"v" help:"Tell what happens on standard error."`
	stateFlag `embed:""`
}

type serveCmd struct {
	Listen     string `placeholder:"ADDRESS" help:"Where to listen (127.0.0.1:7070)."`
	Auth       bool   `help:"Ask programs of this machine, too, who they are: they need a token (slop token create)."`
	shareFlags `embed:""`
}

func (serveCmd) Help() string {
	return `The API is under /api/v1/agents; spec/server.md is its guide.

While nobody made a token (slop token create), the server is for programs of this machine:
it listens on loopback only. Once there is one, or an OIDC issuer in slop.toml, all must
show one. Shell commands and programs are off unless slop.toml configures them. SIGTERM
ends it in peace: what is under way ends or goes on elsewhere, and no run is lost.`
}

type workerCmd struct {
	shareFlags `embed:""`
}

func (workerCmd) Help() string {
	return `A worker needs the store of the servers it works for: --redis, SLOP_STORE, or the same
state folder on this machine. It takes up the runs that wait, also those of a server
that died. SIGTERM ends it in peace.`
}

// workplace is an engine that works on the runs of servers.
type workplace struct {
	*host
	state  *state
	roster *roster.Roster
	worked chan error
	quit   context.CancelFunc

	metrics *metrics.Book
	counted func() // writes what is left of the metrics
}

// open makes this process a worker, once ready has nothing against it.
func (f *shareFlags) open(ctx context.Context, c *console, ready func(*project, *state, *slog.Logger) error) (*project, *workplace, error) {
	f.redis = f.Redis
	pr, err := openProject("")
	if err != nil {
		return nil, nil, err
	}
	if err := pr.serve(); err != nil {
		return nil, nil, err
	}
	if err := c.trust(pr, f.Trust); err != nil {
		return nil, nil, err
	}
	st, err := f.stateFlag.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	h := &host{project: pr, store: st.store, state: st}
	pr.work = st.work()
	log := h.logger(c.err)
	if !f.Verbose {
		log = slog.New(atLeast{log.Handler(), slog.LevelWarn})
	}
	if err := ready(pr, st, log); err != nil {
		st.close()
		return nil, nil, err
	}
	book := metrics.New(st.store, metrics.Config{Log: log})
	h.engine = engine.New(engine.Config{
		Metrics: book,
		Store:   st.store, Registry: pr.registry, Secrets: pr.secret, Owner: st.self.Name, Lease: st.lease, Forgets: st.forgets, Log: log,
		Leftovers: st.endLeftovers, Pool: serverPool, Shared: true, MaxParallel: pr.config.Run.MaxParallel,
		MaxResident: pr.config.Server.MaxRuns, MaxQueued: pr.config.Server.MaxQueued,
	})
	w := &workplace{host: h, state: st, worked: make(chan error, 1), metrics: book, counted: writing(book)}
	w.roster = roster.New(roster.Config{Docs: st.store, Registry: pr.registry, Make: pr.callback, Log: log})
	if err := w.roster.Sync(ctx); err != nil {
		log.Warn("it is not known yet which agents were registered or disabled", "error", err)
	}
	working, quit := context.WithCancel(context.WithoutCancel(ctx))
	w.quit = quit
	go w.roster.Follow(working)
	go func() { w.worked <- h.engine.Work(working) }()
	return pr, w, nil
}

// writing has a book written until what it returns is called, which waits for the last word.
func writing(book *metrics.Book) func() {
	ctx, quit := context.WithCancel(context.Background())
	written := make(chan struct{})
	go func() {
		book.Write(ctx)
		close(written)
	}()
	return func() {
		quit()
		<-written
	}
}

// atLeast leaves out what is less important.
type atLeast struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (a atLeast) Enabled(_ context.Context, l slog.Level) bool { return l >= a.level }

// end hands everything over and closes.
func (w *workplace) end() {
	w.quit()
	<-w.worked
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	_ = w.engine.Drain(ctx) // what is stored is stored
	w.roster.Close()
	w.counted()
	w.close()
}

// where names the store of a process, and what a crash of the machine may cost.
func (s *state) where() string {
	switch {
	case s.server == "":
		return s.folder + ", every fact on disk before it counts"
	case s.forgets:
		return s.server + ", a crash of Redis may cost its last second"
	}
	return s.server + ", strict: every fact on disk before it counts"
}

func (v *serveCmd) Run(c *console) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var d *door
	var listener net.Listener
	pr, w, err := v.open(ctx, c, func(pr *project, st *state, log *slog.Logger) (err error) {
		if d, err = v.said(pr.config.Server); err != nil {
			return err
		}
		if err := d.guard(ctx, st, log); err != nil {
			return err
		}
		if listener, err = net.Listen("tcp", d.Listen); err != nil {
			return &exit{exitUnreachable, fmt.Errorf("--listen %s: %w", d.Listen, err)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	defer w.end()
	api := server.New(server.Config{
		Host: w.engine, Store: w.state.store, Registry: pr.registry, Roster: w.roster, Load: standardFlow, Version: versionText(), Log: w.logger(c.err), Metrics: w.metrics,
		Gate: d.gate, Hosts: d.Hosts, Origins: d.Origins, MaxBody: int64(d.MaxBody), Proxies: d.Proxies, Limits: d.limits(), Keep: d.KeepAudit,
		Options: run.Options{Pool: serverPool, MaxParallel: pr.config.Run.MaxParallel},
		Redact: func(p *plan.Plan) func(string) string {
			var known host
			known.know(pr, p.Secrets)
			return known.redact
		},
		Ready: func(p *plan.Plan, inputs map[string]any) error {
			if err := missingModels(p, inputs); err != nil {
				return err
			}
			return pr.missingSecrets(p.Secrets)
		},
	})
	web := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	fmt.Fprintf(c.err, "slop serves http://%s%s %s; runs are kept in %s\n", listener.Addr(), server.Root, d.guarded(), w.state.where())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(api.Crowd(listener, d.Connections)) }()
	select {
	case err := <-ended:
		return err
	case err := <-w.worked:
		w.worked <- err
		return fmt.Errorf("this server stopped to work on runs: %w", err)
	case <-ctx.Done():
	}
	stop() // a second signal ends at once
	within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = api.Close(within) // streams first: they say where to go on
	if err := web.Shutdown(within); errors.Is(err, context.DeadlineExceeded) {
		_ = web.Close() // who waits for a run is told nothing; the run is kept
	}
	return nil
}

func (v *workerCmd) Run(c *console) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	_, w, err := v.open(ctx, c, func(*project, *state, *slog.Logger) error { return nil })
	if err != nil {
		return err
	}
	defer w.end()
	fmt.Fprintf(c.err, "slop works on the runs of servers; they are kept in %s\n", w.state.where())
	select {
	case err := <-w.worked:
		w.worked <- err
		return fmt.Errorf("this worker stopped to work on runs: %w", err)
	case <-ctx.Done():
	}
	stop()
	return nil
}
