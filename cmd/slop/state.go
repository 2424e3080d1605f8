package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/client"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/presence"
	"github.com/slopstudios/slop/stdlib/process"
)

// stateFlag is taken by every command that works on stored runs.
type stateFlag struct {
	State string `placeholder:"DIR" help:"The folder where runs are kept, instead of the user's own."`
	redis string // the address that --redis names, before all others
}

// serverFlag is taken by the commands that can do the same with the runs of a server.
type serverFlag struct {
	Server string `placeholder:"URL" env:"SLOP_SERVER" help:"Do it with the runs of this server. SLOP_TOKEN proves who asks."`
}

// open opens the runs of the server when there is one, else those that are kept here.
func (f serverFlag) open(ctx context.Context, local stateFlag) (*state, error) {
	if f.Server == "" {
		return local.open(ctx)
	}
	if local.State != "" {
		return nil, usage("--server and --state name two places")
	}
	c, err := client.New(f.Server, os.Getenv("SLOP_TOKEN"))
	if err != nil {
		return nil, usage("--server: %s", err)
	}
	return &state{server: c.Server(), said: " --server " + shellWord(c.Server()), api: c, store: client.NewStore(c)}, nil
}

// state is the folder where runs are kept, open.
type state struct {
	folder    string
	said      string // how a command line names it; "" when it goes without saying
	server    string // its address without the password; "" when runs are kept in the folder
	remote    storeServer
	forgets   bool // the store may lose its last seconds
	store     store.Store
	api       *client.Client // of the server that has the runs; nil: they are kept here
	lease     time.Duration  // how long this process keeps a run when it no longer answers
	processes *presence.Folder
	self      *presence.Holder
}

// leaseTime is how long a lease lasts whose holder nothing can be known of: one on another machine, or a process here that is stopped. That of a dead process
// here is void at once. SLOP_LEASE says otherwise.
const leaseTime = 15 * time.Second

// How short and how long SLOP_LEASE may make a lease: a third of it passes between two extensions.
const (
	minLease = time.Second
	maxLease = 24 * time.Hour
)

// lease puts SLOP_LEASE before slop.toml.
func lease(conf config.Store) (time.Duration, error) {
	text, from := os.Getenv("SLOP_LEASE"), "SLOP_LEASE"
	if text == "" && conf.Lease > 0 {
		text, from = conf.Lease.String(), "slop.toml: lease"
	}
	if text == "" {
		return leaseTime, nil
	}
	d, err := plan.ParseDuration(text)
	if err == nil && (d < minLease || d > maxLease) {
		err = fmt.Errorf("it is from %v to %v", minLease, maxLease)
	}
	if err != nil {
		return 0, usage("%s %s: %s", from, text, err)
	}
	return d, nil
}

// storeServer is a server that keeps runs.
type storeServer struct {
	address, prefix, durability string
	from                        string // who said so
}

// storeConfig is [store] of the slop.toml around the folder one stands in, as far as it counts: --state and SLOP_STORE name another store than it is about.
func (f stateFlag) storeConfig() (config.Store, error) {
	if f.State != "" || os.Getenv("SLOP_STORE") != "" {
		return config.Store{}, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return config.Store{}, nil // the folder is gone: nothing lies in it
	}
	places := config.UserPlaces(os.Getenv)
	conf, err := config.Load(here, places)
	if err != nil {
		return config.Store{}, &exit{exitUsage, err}
	}
	if s := conf.Store; s.File != nil && os.Getenv("SLOP_TRUST") != "1" && (s.URL != "" || s.URLEnv != "") && !places.Trusted(s.File, here) {
		return config.Store{}, usage("%s is not trusted yet. It\n  %s\n  read it, then slop run --trust (remembered until it changes) or SLOP_TRUST=1; SLOP_STORE or --state name another place", s.File.Source.Name, strings.Join(s.File.Asks, "\n  "))
	}
	return conf.Store, nil
}

// remote is the server that keeps runs; its address is "" when they are kept in the folder.
func (f stateFlag) remote(conf config.Store) (storeServer, error) {
	r := storeServer{address: conf.URL, prefix: conf.Prefix, durability: conf.Durability}
	switch {
	case f.redis != "":
		r.address, r.from = f.redis, "--redis"
	case f.State != "":
		return storeServer{}, nil
	case os.Getenv("SLOP_STORE") != "":
		r.address, r.from = os.Getenv("SLOP_STORE"), "SLOP_STORE"
	case conf.URLEnv != "":
		if r.address, r.from = os.Getenv(conf.URLEnv), conf.URLEnv; r.address == "" {
			return r, usage("set %s, which %s names as url_env of the store; or SLOP_STORE or --state, which name another place", conf.URLEnv, conf.File.Source.Name)
		}
	case conf.URL != "":
		r.from = conf.File.Source.Name
	default:
		return storeServer{}, nil
	}
	if prefix := os.Getenv("SLOP_STORE_PREFIX"); prefix != "" {
		r.prefix = prefix
	}
	if durability := os.Getenv("SLOP_DURABILITY"); durability != "" {
		r.durability = durability
	}
	return r, nil
}

// poolPrefix begins the pool of a run that `slop run` began: what follows is the folder it was begun in. No server takes up a run of such a pool.
const poolPrefix = "cli:"

// place is the folder of the runs.
func (f stateFlag) place() (folder, said string, err error) {
	switch {
	case f.State != "":
		folder, said = f.State, " --state "+shellWord(f.State)
	case os.Getenv("SLOP_STATE") != "":
		folder = os.Getenv("SLOP_STATE")
	default:
		folder = config.UserPlaces(os.Getenv).State
	}
	if folder == "" {
		return "", "", &exit{exitUnreachable, errors.New("there is no folder to keep runs in: set HOME, SLOP_STATE, or name one with --state DIR")}
	}
	folder, err = filepath.Abs(folder)
	return folder, said, err
}

// open opens the store of the folder, which it makes when it is not there, and makes this process known to others.
func (f stateFlag) open(ctx context.Context) (*state, error) {
	folder, said, err := f.place()
	if err != nil {
		return nil, err
	}
	s := &state{folder: folder, said: said}
	conf, err := f.storeConfig()
	if err != nil {
		return nil, err
	}
	if s.remote, err = f.remote(conf); err != nil {
		return nil, err
	}
	if s.remote.address != "" {
		if s.server, err = s.remote.name(); err != nil {
			return nil, err
		}
	}
	if s.lease, err = lease(conf); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		s.close()
		return nil, s.unusable(err)
	}
	return s, nil
}

func (s *state) begin(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	if s.processes, err = presence.Open(filepath.Join(s.folder, "processes")); err != nil {
		return err
	}
	if s.self, err = s.processes.Announce(); err != nil {
		return err
	}
	process.Note(s.commands(), s.self.Name)
	if s.server == "" {
		s.store, err = embedded(ctx, s.folder, s.processes.Dead)
		return err
	}
	s.forgets = s.remote.durability != "strict"
	s.store, err = shared(ctx, s.remote.address, s.remote.prefix, s.remote.durability, s.processes.Dead)
	return err
}

// commands is the folder where the processes of this machine note what they run.
func (s *state) commands() string { return filepath.Join(s.folder, "commands") }

// endLeftovers ends what processes that were killed left running.
func (s *state) endLeftovers() int { return process.EndLeftovers(s.commands(), s.processes.Dead) }

// environment lets another process that this one starts keep runs where it does, wherever that stands.
func (s *state) environment() []string {
	return []string{
		"SLOP_STATE=" + s.folder, "SLOP_STORE=" + s.remote.address, "SLOP_STORE_PREFIX=" + s.remote.prefix, "SLOP_DURABILITY=" + s.remote.durability,
		"SLOP_LEASE=" + s.lease.String(),
	}
}

// name is how messages name a server: without its password, which stands in the environment because command lines can be read by others.
func (r storeServer) name() (string, error) {
	u, err := url.Parse(r.address)
	if err != nil || u.Scheme == "" {
		return "", usage("%s is not the address of a store: redis://host:6379, rediss:// with TLS, redis+sentinel://, redis+cluster://", r.from)
	}
	u.RawQuery = ""
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	return u.String(), nil
}

// close gives back what this process held.
func (s *state) close() {
	if s.store != nil {
		_ = s.store.Close()
	}
	if s.self != nil {
		process.Note("", "")
		s.self.Leave()
	}
}

// unusable says what to do about a folder that cannot be used.
func (s *state) unusable(err error) error {
	if s.api != nil {
		return &exit{remoteCode(err), err}
	}
	if s.server != "" {
		return &exit{exitUnreachable, fmt.Errorf("the runs on %s cannot be used: %w\n  %s names the server; without it runs are kept in %s", s.server, err, s.remote.from, s.folder)}
	}
	if found := s.probe(); found != nil {
		err = found // plainer than what a database says of it
	}
	return &exit{exitUnreachable, fmt.Errorf("the runs in %s cannot be used: %w\n  --state DIR or SLOP_STATE names another folder; slop run --ephemeral keeps nothing", s.folder, plainPathError(err))}
}

// remoteCode is the exit code of what a server refused.
func remoteCode(err error) int {
	var p *client.Problem
	switch {
	case !errors.As(err, &p):
		return exitUnreachable
	case p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden:
		return exitAuth
	case p.Status >= 500 || p.Code == "":
		return exitUnreachable
	case p.Status == http.StatusTooManyRequests:
		return exitBudget
	}
	return exitUsage
}

// probe tries whether the folder, if it is there, can be written.
func (s *state) probe() error {
	if _, err := os.Stat(s.folder); err != nil {
		return nil
	}
	f, err := os.CreateTemp(s.folder, ".probe-*")
	if err == nil {
		_, err = f.Write(make([]byte, 16<<10))
		err = errors.Join(err, f.Close())
		_ = os.Remove(f.Name())
	}
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// logFile is where a run that works in the background writes what it would show.
func (s *state) logFile(id run.ID) string { return filepath.Join(s.folder, "logs", string(id)+".log") }

// find gives the run that a person means: by its id, or by the beginning of it.
func (s *state) find(ctx context.Context, word string) (run.ID, error) {
	word = strings.ToLower(strings.TrimSpace(word))
	_, err := s.store.Holder(ctx, run.ID(word))
	switch {
	case err == nil:
		return run.ID(word), nil
	case !errors.Is(err, store.ErrNotFound):
		return "", s.unusable(err)
	}
	found, err := s.beginning(ctx, word)
	switch {
	case err != nil:
		return "", s.unusable(err)
	case len(found) == 0:
		return "", usage("there is no run %q in %s; `slop runs%s` lists them", word, cmp.Or(s.folder, s.server), s.said)
	case len(found) > 1:
		return "", usage("%q is the beginning of several runs: %s, …", word, strings.Join(found, ", "))
	}
	return run.ID(found[0]), nil
}

// beginning gives the run that begins with a word; several when it is not the only one.
func (s *state) beginning(ctx context.Context, word string) ([]string, error) {
	first, last, ok := span(word)
	if !ok {
		return nil, nil
	}
	var found []string
	add := func(id run.ID) bool {
		if strings.HasPrefix(string(id), word) && !slices.Contains(found, string(id)) {
			found = append(found, string(id))
		}
		return len(found) < 3
	}
	filter := store.Filter{Since: first, Limit: store.MaxLimit, Cursor: store.Entry{Started: last.Add(time.Millisecond)}.Cursor()}
	for {
		entries, next, err := s.store.List(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !add(e.Run) {
				return found, nil
			}
		}
		if filter.Cursor = next; next == "" {
			break
		}
	}
	for id, err := range s.store.Unfinished(ctx, "") { // the index is derived: it may not know of a run whose process was killed
		if err != nil {
			return nil, err
		}
		if !add(id) {
			break
		}
	}
	return found, nil
}

// span gives the first and the last time at which a run whose id begins with a word can have been started: the first ten characters are its time.
func span(word string) (first, last time.Time, ok bool) {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	if word == "" || len(word) > 26 {
		return first, last, false
	}
	var low, high uint64
	for i := range 10 {
		l, h := uint64(0), uint64(31)
		if i < len(word) {
			at := strings.IndexByte(digits, word[i])
			if at < 0 {
				return first, last, false
			}
			l, h = uint64(at), uint64(at)
		}
		low, high = low<<5|l, high<<5|h
	}
	const most = 1<<48 - 1
	if low > most {
		return first, last, false
	}
	return time.UnixMilli(int64(low)), time.UnixMilli(int64(min(high, most))), true
}

// history is a run as it is stored.
type history struct {
	id      run.ID
	facts   []run.Fact
	started *run.Started
	plan    *plan.Plan
}

// history reads a run.
func (s *state) history(ctx context.Context, id run.ID) (*history, error) {
	facts, err := s.store.Load(ctx, id, 0)
	if err != nil {
		return nil, s.damaged(id, err)
	}
	h := &history{id: id, facts: facts}
	ok := len(facts) > 0
	if ok {
		h.started, ok = facts[0].Body.(*run.Started)
	}
	if !ok {
		return nil, s.damaged(id, errors.New("its history does not begin with its start"))
	}
	data, err := s.store.GetBlob(ctx, h.started.Plan)
	if err != nil {
		return nil, s.damaged(id, fmt.Errorf("its plan: %w", err))
	}
	if h.plan, err = plan.Decode(data); err != nil {
		return nil, s.damaged(id, fmt.Errorf("its plan: %w", err))
	}
	return h, nil
}

func (s *state) damaged(id run.ID, err error) error {
	if s.api != nil {
		return s.unusable(err)
	}
	return &exit{exitUnreachable, fmt.Errorf("run %s cannot be read: %w\n  the other runs are not touched by that; `slop doctor --store%s` looks at all of them", id, err, s.said)}
}

// finished is the end of a run; nil: not yet.
func (h *history) finished() *run.Finished {
	if len(h.facts) == 0 {
		return nil
	}
	end, _ := h.facts[len(h.facts)-1].Body.(*run.Finished)
	return end
}

// fold gives the run as its facts show it.
func (h *history) fold() *runs.Folder {
	f := runs.Fold(h.plan).Named(h.id)
	for _, fact := range h.facts {
		f.Add(fact)
	}
	return f
}

// folder is where the run was begun, and the path of its script from there. ok is false for a run that was not begun by `slop run`.
func (h *history) folder() (folder, script string, ok bool) {
	folder, ok = strings.CutPrefix(h.started.Options.Pool, poolPrefix)
	if !ok || len(h.plan.Sources) == 0 {
		return "", "", false
	}
	if script = h.plan.Sources[0].Name; script == stdinName {
		script = "-"
	}
	return folder, script, true
}

// holder says who is at work on a run: nobody (""), or a process.
func (s *state) holder(ctx context.Context, id run.ID) (string, error) {
	name, err := s.store.Holder(ctx, id)
	if err != nil || name == "" {
		return "", err
	}
	if s.api != nil {
		return "the server", nil
	}
	if pid := s.processes.PID(name); pid > 0 {
		return "process " + strconv.Itoa(pid), nil
	}
	return "a process on another machine", nil
}

// after is the place behind every fact.
const after = run.Seq(math.MaxInt64)

// shellWord is s as it can be typed into a shell.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,") == "" && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
