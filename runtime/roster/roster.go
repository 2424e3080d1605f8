// Package roster keeps what administrators say of the agents of servers while these run: which are disabled, and which were registered. It is kept in the store,
// so that every process which works on the same runs follows within seconds, and a restart forgets nothing.
package roster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/store"
)

// kind is that of the documents, each named like its agent.
const kind = "agent"

// pace is how often others' changes are looked for.
const pace = 2 * time.Second

// maxHello bounds what is kept of what an agent says of itself, in bytes; maxCallbacks how many are registered.
const (
	maxHello     = 256 << 10
	maxCallbacks = 200
)

// maxTries is how often a change is tried when others change the same.
const maxTries = 10

// Callback is an agent that was registered: where it takes requests.
type Callback struct {
	Life   string          `json:"life"` // another for every registration
	URL    string          `json:"url"`
	Secret string          `json:"secret,omitempty"` // name of the secret that goes along as a token
	Hello  json.RawMessage `json:"hello"`            // what it said of itself
	By     string          `json:"by"`
	At     time.Time       `json:"at"`
}

// Note is what was said of an agent.
type Note struct {
	Callback *Callback `json:"callback,omitempty"` // nil: it is configured
	Off      *Off      `json:"off,omitempty"`      // nil: it is enabled
}

// Off says who disabled an agent.
type Off struct {
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Made is an agent that was made of a Callback.
type Made struct {
	Agent agent.Agent
	Limit int              // calls at a time
	End   func(why string) // its calls under way fail for that reason
}

// Config of a roster. All but Log must be there; without Make nobody can be registered.
type Config struct {
	Docs     store.Docs
	Registry *agent.Registry
	// Make makes an agent. Without a Hello it asks the agent for it and puts it there, and fails when the agent gives none; with one it asks nobody.
	Make func(ctx context.Context, name string, c *Callback) (Made, error)
	Log  *slog.Logger
}

// Roster keeps a Registry as the store says. Its methods may be called from any goroutine. The errors are those of the store, and these.
type Roster struct {
	config Config

	work  sync.Mutex // of who reads or writes the store
	look  sync.RWMutex
	known map[string]*entry
}

// The errors of changes.
var (
	ErrNoMaker    = errors.New("this server takes no agents")
	ErrTaken      = errors.New("there is an agent of this name already")
	ErrFull       = errors.New("there are too many agents already")
	ErrConfigured = errors.New("this agent is configured, not registered")
	ErrUnknown    = errors.New("there is no such agent")
)

// AgentError is of an agent that cannot be registered as it is.
type AgentError struct{ Err error }

func (e *AgentError) Error() string { return e.Err.Error() }

func (e *AgentError) Unwrap() error { return e.Err }

type entry struct {
	data []byte
	note Note
	made *Made // nil: it is configured, or could not be made
}

// New returns a roster that has read nothing yet.
func New(c Config) *Roster {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Roster{config: c, known: map[string]*entry{}}
}

// Of is what was said of an agent, as far as this process knows.
func (r *Roster) Of(name string) Note {
	r.look.RLock()
	defer r.look.RUnlock()
	if e := r.known[name]; e != nil {
		return e.note
	}
	return Note{}
}

// Sync takes over what the store says.
func (r *Roster) Sync(ctx context.Context) error {
	r.work.Lock()
	defer r.work.Unlock()
	seen := map[string]bool{}
	for name, err := range r.config.Docs.AllDocs(ctx, kind, "") {
		if err != nil {
			return fmt.Errorf("read what is said of agents: %w", err)
		}
		data, _, err := r.config.Docs.GetDoc(ctx, kind, name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read what is said of agent %s: %w", name, err)
		}
		seen[name] = true
		r.apply(ctx, name, data)
	}
	for name := range r.known {
		if !seen[name] {
			r.apply(ctx, name, nil)
		}
	}
	return nil
}

// Follow takes over what others write, until ctx ends.
func (r *Roster) Follow(ctx context.Context) {
	clock := time.NewTicker(pace)
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
			if err := r.Sync(ctx); err != nil && ctx.Err() == nil {
				r.config.Log.Debug("the agents stay as they are", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Close ends what was made.
func (r *Roster) Close() {
	r.work.Lock()
	defer r.work.Unlock()
	var group sync.WaitGroup
	for _, e := range r.known {
		if e.made != nil {
			group.Go(func() { e.made.End("slop ends") })
		}
	}
	group.Wait()
}

// apply makes the registry as a document says; nil: there is none any more.
func (r *Roster) apply(ctx context.Context, name string, data []byte) {
	old := r.known[name]
	if old == nil {
		old = &entry{}
	}
	if bytes.Equal(old.data, data) {
		return
	}
	next := &entry{data: data, made: old.made}
	if data != nil {
		if err := json.Unmarshal(data, &next.note); err != nil {
			r.config.Log.Warn("what is said of an agent cannot be read", "agent", name, "error", err)
			return
		}
	}
	if !reflect.DeepEqual(old.note.Callback, next.note.Callback) {
		r.drop(name, old)
		next.made = nil
		if next.note.Callback != nil {
			made, err := r.make(ctx, name, next.note.Callback)
			if err != nil {
				r.config.Log.Warn("an agent that was registered cannot be called here", "agent", name, "error", err)
			} else {
				next.made = made
			}
		}
	}
	r.put(name, next)
}

// put is how an agent is from here on.
func (r *Roster) put(name string, e *entry) {
	if off := e.note.Off; off != nil {
		why := fmt.Sprintf("%s is disabled, and was not called", name)
		if off.Reason != "" {
			why += ": " + off.Reason
		}
		r.config.Registry.Disable(name, why)
	} else if e.note.Callback != nil || r.known[name] != nil {
		r.config.Registry.Enable(name)
	}
	r.look.Lock()
	defer r.look.Unlock()
	if e.data == nil {
		delete(r.known, name)
		return
	}
	r.known[name] = e
}

// drop takes away what was registered.
func (r *Roster) drop(name string, e *entry) {
	if e.made == nil {
		return
	}
	const why = "it was unregistered"
	r.config.Registry.Unregister(name, name+" cannot be called: "+why)
	e.made.End(why)
}

// make registers what was registered elsewhere or before.
func (r *Roster) make(ctx context.Context, name string, c *Callback) (*Made, error) {
	if r.config.Make == nil {
		return nil, ErrNoMaker
	}
	made, err := r.config.Make(ctx, name, c)
	if err != nil {
		return nil, err
	}
	if len(c.Hello) > maxHello {
		err = fmt.Errorf("its hello has %d bytes, more than %d", len(c.Hello), maxHello)
	}
	if err == nil {
		err = r.config.Registry.Register(name, made.Agent, nil)
	}
	if err == nil {
		err = r.config.Registry.SetLimits(name, agent.Limits{Limit: made.Limit})
	}
	if err != nil {
		made.End("it was turned away")
		return nil, err
	}
	return &made, nil
}

// Register takes an agent on, which is asked what it can do, and remembers it. ErrTaken, ErrFull, ErrNoMaker, *AgentError.
func (r *Roster) Register(ctx context.Context, name string, c Callback) error {
	r.work.Lock()
	defer r.work.Unlock()
	if _, taken := r.config.Registry.Health(name); taken {
		return ErrTaken
	}
	if len(r.known) >= maxCallbacks {
		return ErrFull
	}
	made, err := r.make(ctx, name, &c)
	switch {
	case errors.Is(err, ErrNoMaker):
		return err
	case err != nil:
		return &AgentError{err}
	}
	e := &entry{note: Note{Callback: &c}, made: made}
	if e.data, err = json.Marshal(e.note); err == nil {
		err = r.config.Docs.PutDoc(ctx, kind, name, 0, e.data)
	}
	if err != nil {
		r.drop(name, e)
		if errors.Is(err, store.ErrConflict) {
			return ErrTaken // by another server
		}
		return err
	}
	_ = json.Unmarshal(e.data, &e.note) // as Sync reads it
	r.put(name, e)
	return nil
}

// Unregister takes an agent away that was registered, and forgets it. ErrConfigured, ErrUnknown.
func (r *Roster) Unregister(ctx context.Context, name string) error {
	return r.change(ctx, name, func(n *Note) error {
		if n.Callback != nil {
			*n = Note{}
			return nil
		}
		if _, there := r.config.Registry.Health(name); there {
			return ErrConfigured
		}
		return ErrUnknown
	})
}

// Turn disables an agent, or with nil enables it. ErrUnknown.
func (r *Roster) Turn(ctx context.Context, name string, off *Off) error {
	return r.change(ctx, name, func(n *Note) error {
		if _, there := r.config.Registry.Health(name); !there && n.Callback == nil {
			return ErrUnknown
		}
		n.Off = off
		return nil
	})
}

func (r *Roster) change(ctx context.Context, name string, change func(*Note) error) error {
	r.work.Lock()
	defer r.work.Unlock()
	for range maxTries {
		data, version, err := r.config.Docs.GetDoc(ctx, kind, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		var n Note
		if data != nil {
			if err := json.Unmarshal(data, &n); err != nil {
				return fmt.Errorf("read what is said of agent %s: %w", name, err)
			}
		}
		if err := change(&n); err != nil {
			return err
		}
		if n == (Note{}) {
			data = nil
			err = r.config.Docs.DropDoc(ctx, kind, name, version)
		} else if data, err = json.Marshal(n); err == nil {
			err = r.config.Docs.PutDoc(ctx, kind, name, version, data)
		}
		if err == nil {
			r.apply(ctx, name, data)
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return store.ErrConflict
}
