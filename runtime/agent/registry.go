package agent

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// Limits bound the calls of one registered agent over all runs of a process. Zero fields do not bound.
type Limits struct {
	Limit     int // calls at a time
	PerSecond int // calls begun in a second
	PerMinute int // calls begun in a minute

	// Shared, when not empty, names what Limit is for: all agents that name the same share one Limit, the first one's, such as a login.
	Shared string
}

// Registry knows every agent that scripts of a process can call. What is configured is registered at the start, in one place; lookups, what an agent serves
// anew, and what a server takes on or away while it runs, may come from any goroutine.
type Registry struct {
	mu      sync.RWMutex
	agents  map[string]*registered // by the name they were registered under
	callees map[string]*callee     // by the full name a script calls
}

type registered struct {
	agent   Agent
	checks  Checker   // nil when the agent cannot say
	account Accounter // nil when its calls say all
	limits  Limits
	vitals  *Vitals
	free    bool        // all its capabilities are: nobody watches their calls
	asked   atomic.Bool // a check is under way
}

type callee struct {
	signature types.Signature
	of        *registered
	name      string // of the agent
	gone      bool   // the agent serves it no more: only plans that were made before call it, and hear that
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{agents: map[string]*registered{}, callees: map[string]*callee{}}
}

// Register makes a's capabilities callable: under their own names when name is the agent's own, else with name in the place of their first word,
// so that `[agents.critic] use = "claude"` gives `critic`, and an http agent named `shop` gives `shop.get`. Use keeps the capability's own name.
// adjust, when not nil, puts in what is configured (system, defaults, price, effect) before the signature is fixed.
//
// It is an error to register a name twice, to register an agent without capabilities, or a signature that contradicts itself.
func (r *Registry) Register(name string, a Agent, adjust func(*types.Signature)) error {
	vitals := newVitals(name, a)
	entry := &registered{agent: guard{name, a, vitals}, vitals: vitals, free: true}
	entry.checks, _ = a.(Checker)
	entry.account, _ = a.(Accounter)
	fresh, err := entry.callees(name, a, adjust)
	if err != nil {
		return err
	}
	if len(fresh) == 0 {
		return fmt.Errorf("register agent %s: it has no capabilities", name)
	}
	for _, c := range fresh {
		entry.free = entry.free && c.signature.Free
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.agents[name]; taken {
		return fmt.Errorf("register agent %s: the name is taken", name)
	}
	if err := r.apart(name, fresh); err != nil {
		return err
	}
	r.agents[name] = entry
	for _, c := range fresh {
		r.callees[c.signature.Name] = c
	}
	return nil
}

// Unregister takes an agent away. Runs under way that call it hear why; what is planned later does not know it.
func (r *Registry) Unregister(name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry := r.agents[name]
	if entry == nil {
		return
	}
	entry.vitals.turn(why)
	delete(r.agents, name)
	for full, c := range r.callees {
		if c.of == entry {
			delete(r.callees, full)
		}
	}
}

// Disable has calls of the agent registered as name fail at once, as unavailable and saying why, until it is enabled again. Calls under way go on, scripts that
// name it are still planned, and what people are asked and timers are no calls. It reports whether there is such an agent.
func (r *Registry) Disable(name, why string) bool { return r.turn(name, why) }

// Enable takes back what Disable did.
func (r *Registry) Enable(name string) bool { return r.turn(name, "") }

func (r *Registry) turn(name, why string) bool {
	entry := r.entry(name)
	if entry != nil {
		entry.vitals.turn(why)
	}
	return entry != nil
}

// Relist takes over what a registered agent, which was registered without adjust, serves now. What it serves no more is out of the scope of scripts; plans keep
// what they were made with. On an error all stays as it was.
func (r *Registry) Relist(name string) error {
	r.mu.RLock()
	entry := r.agents[name]
	r.mu.RUnlock()
	if entry == nil {
		return fmt.Errorf("list agent %s anew: it is not registered", name)
	}
	fresh, err := entry.callees(name, entry.agent, nil)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.apart(name, fresh); err != nil {
		return err
	}
	for full, c := range r.callees {
		if c.of == entry {
			left := *c
			left.gone = true
			r.callees[full] = &left
		}
	}
	for _, c := range fresh {
		r.callees[c.signature.Name] = c
	}
	return nil
}

// callees makes what scripts may call of an agent's signatures.
func (entry *registered) callees(name string, a Agent, adjust func(*types.Signature)) ([]*callee, error) {
	var fresh []*callee
	for _, s := range a.Signatures() {
		own := s.Name
		if s.Use == "" {
			s.Use = own
		}
		if _, rest, dotted := strings.Cut(own, "."); dotted {
			s.Name = name + "." + rest
		} else {
			s.Name = name
		}
		if s.Effect == "" {
			s.Effect = types.Do
		}
		if s.Kind == "" {
			s.Kind = types.Call
		}
		if adjust != nil {
			adjust(&s)
		}
		if err := sound(&s); err != nil {
			return nil, fmt.Errorf("register agent %s: %w", name, err)
		}
		fresh = append(fresh, &callee{signature: s, of: entry, name: name})
	}
	return fresh, nil
}

// apart reports names that an agent would share with another, or has twice.
func (r *Registry) apart(name string, fresh []*callee) error {
	for i, c := range fresh {
		if other := r.callees[c.signature.Name]; other != nil && other.of != c.of {
			return fmt.Errorf("register agent %s: %s is registered already", name, c.signature.Name)
		}
		for _, other := range fresh[:i] {
			if other.signature.Name == c.signature.Name {
				return fmt.Errorf("register agent %s: %s is registered twice", name, c.signature.Name)
			}
		}
	}
	return nil
}

// sound rejects signatures that later passes would trip over.
func sound(s *types.Signature) error {
	if s.Primary != "" && !slices.ContainsFunc(s.Params, func(p types.Param) bool { return p.Name == s.Primary }) {
		return fmt.Errorf("%s: its text fills %s, which is no parameter of it", s.Name, s.Primary)
	}
	seen := map[string]bool{}
	for _, p := range s.Params {
		if seen[p.Name] {
			return fmt.Errorf("%s: parameter %s stands twice", s.Name, p.Name)
		}
		seen[p.Name] = true
		if p.Lasts && (p.Type.Kind != types.Enum || len(p.Type.Values) == 0) {
			return fmt.Errorf("%s: parameter %s says how long something lasts, so it is an enum", s.Name, p.Name)
		}
	}
	if s.Free && s.Effect == types.Think {
		return fmt.Errorf("%s: what asks a model is never free", s.Name)
	}
	return nil
}

// Scope is what a script may call: data for the checker. It has nothing but Capabilities.
func (r *Registry) Scope() types.Scope {
	r.mu.RLock()
	defer r.mu.RUnlock()
	scope := types.Scope{Capabilities: make(map[string]types.Signature, len(r.callees))}
	for name, c := range r.callees {
		if !c.gone {
			scope.Capabilities[name] = c.signature
		}
	}
	return scope
}

// Lookup finds the agent that serves the callee of a script. A panic of the agent comes back as a failed Reply. The signature belongs to the registry.
func (r *Registry) Lookup(name string) (Agent, *types.Signature, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.callees[name]
	if !ok {
		return nil, nil, false
	}
	return c.of.agent, &c.signature, true
}

// Names lists every callee in alphabetical order.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.callees))
	for name, c := range r.callees {
		if !c.gone {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Agents lists the names agents were registered under in alphabetical order.
func (r *Registry) Agents() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.agents))
	for name := range r.agents {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// SetLimits bounds the calls of the agent registered as name. It is for the start: an engine reads the limits at an agent's first call.
func (r *Registry) SetLimits(name string, l Limits) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.agents[name]
	if !ok {
		return fmt.Errorf("limit agent %s: it is not registered", name)
	}
	if l.Limit < 0 || l.PerSecond < 0 || l.PerMinute < 0 {
		return fmt.Errorf("limit agent %s: a limit is not below 0", name)
	}
	entry.limits = l
	return nil
}

// Owner gives the agent a callee belongs to and that agent's limits, which all its capabilities share.
func (r *Registry) Owner(callee string) (agent string, limits Limits, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.callees[callee]
	if !ok {
		return "", Limits{}, false
	}
	return c.name, c.of.limits, true
}

// Account names whose answers the agent of a callee gives; "" when its calls say all.
func (r *Registry) Account(callee string) string {
	r.mu.RLock()
	c := r.callees[callee]
	r.mu.RUnlock()
	if c == nil || c.of.account == nil {
		return ""
	}
	return c.of.account.Account()
}

// Vitals watches the calls of the agent that serves a callee; nil when it is free and needs nobody to.
func (r *Registry) Vitals(callee string) *Vitals {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c := r.callees[callee]; c != nil && !c.of.free {
		return c.of.vitals
	}
	return nil
}

// Health says how the agent registered as name does; false when there is none.
func (r *Registry) Health(name string) (Health, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	entry, ok := r.agents[name]
	if !ok {
		return Health{}, false
	}
	taken := entry.vitals.active()
	if shared := entry.limits.Shared; shared != "" {
		for _, other := range r.agents {
			if other != entry && other.limits.Shared == shared {
				taken += other.vitals.active()
			}
		}
	}
	return entry.vitals.look(taken, entry.limits.Limit), true
}

// Checks reports whether the agent registered as name can say that it could be called.
func (r *Registry) Checks(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	entry, ok := r.agents[name]
	return ok && entry.checks != nil
}

// CheckTimeout is how long one agent may take to say whether it can be called.
const CheckTimeout = 5 * time.Second

// Check asks every agent that can tell whether it could serve a call now, all at once, and keeps what they said for Health.
func (r *Registry) Check(ctx context.Context) {
	r.mu.RLock()
	var group sync.WaitGroup
	for name, entry := range r.agents {
		if entry.checks == nil {
			continue
		}
		group.Go(func() {
			err := check(ctx, name, entry)
			if ctx.Err() == nil {
				entry.vitals.checked(time.Now(), err)
			}
		})
	}
	r.mu.RUnlock()
	group.Wait()
}

// CheckOne asks the agent registered as name whether it could serve a call now, as Check asks all.
func (r *Registry) CheckOne(ctx context.Context, name string) {
	entry := r.entry(name)
	if entry == nil || entry.checks == nil {
		return
	}
	if err := check(ctx, name, entry); ctx.Err() == nil {
		entry.vitals.checked(time.Now(), err)
	}
}

// Watch checks every agent from time to time, until ctx ends. It is for hosts that live long; a check that finds an agent well again makes it so.
func (r *Registry) Watch(ctx context.Context, every time.Duration) {
	clock := time.NewTicker(every)
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
			r.Check(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// check turns a panic or an overrun of one agent into an error about that agent. One that has not ended is not begun again.
func check(ctx context.Context, name string, entry *registered) error {
	if entry.asked.Swap(true) {
		return fmt.Errorf("agent %s has not answered its last check", name)
	}
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	said := make(chan error, 1)
	go func() {
		err := fmt.Errorf("agent %s gave up in its check", name)
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("agent %s panicked in its check: %v", name, r)
			}
			entry.asked.Store(false)
			said <- err
		}()
		err = entry.checks.Check(ctx)
	}()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
		return fmt.Errorf("agent %s did not answer its check: %w", name, ctx.Err())
	}
}

// guard keeps the panic of one agent from harming another: it ends that attempt alone.
type guard struct {
	name   string
	agent  Agent
	vitals *Vitals
}

func (g guard) Signatures() []types.Signature { return g.agent.Signatures() }

func (g guard) Call(ctx context.Context, c *Call) (reply Reply) {
	if why := g.vitals.off.Load(); why != nil {
		return Fail(run.Unavailable, *why) // a call of a free agent, which nobody admits
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		if r := recover(); r != nil {
			reply = Fail(run.Unavailable, fmt.Sprintf("agent %s crashed: %v%s", g.name, r, crashSite(debug.Stack())))
			if c.Callee != nil && c.Callee.Effect == types.Think {
				reply.Usage = run.Usage{Calls: 1, Tokens: run.Unknown, CostSource: run.Unknown}
			}
		}
	}()
	reply = g.agent.Call(ctx, c)
	returned = true
	return reply
}

// crashSite names the line that panicked: the first frame below the runtime's own.
func crashSite(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "panic(") {
			continue
		}
		for _, frame := range lines[i:] {
			frame = strings.TrimSpace(frame)
			file, _, _ := strings.Cut(frame, " +0x")
			if strings.Contains(file, ".go:") && !strings.Contains(file, "/runtime/panic.go") && !strings.Contains(file, "/src/runtime/") {
				return " (" + file[strings.LastIndexByte(file, '/')+1:] + ")"
			}
		}
	}
	return ""
}
