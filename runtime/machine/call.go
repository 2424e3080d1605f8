package machine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// call is a call under way: all its attempts and repair rounds. It lives as long as an answer, or the end of a cancelled attempt, is awaited.
type call struct {
	node    *node // nil once it was cut loose: nobody waits for its value
	path    run.Path
	attempt int // from 1 in each repair round
	retries int // of this round: attempts that failed and were repeated
	repair  int // round, 0 before the first
	state   callState
	due     time.Time
	effect  types.Effect
	free    bool     // it costs nothing, and nobody records its start
	invalid *invalid // the last answer that did not fit; nil before one came
	asking  *asking  // nil before it asked something in mid-call

	scope    *scope
	need     run.Amount
	reserved bool
	blocked  *scope        // where it waits for budget
	told     bool          // to end; of a question: that it was shown
	sent     *run.CallWish // what is sent, without attempt and due; rendered again by Restore

	wish   holder  // call or ask
	cancel *holder // nil before it is told to end
}

// invalid is an answer that has to be repaired.
type invalid struct {
	answer   any
	problems []string
}

// asking is what an agent asks in mid-call.
type asking struct {
	count  int         // of this round
	form   *run.Form   // of the question that is open; nil: none is
	token  string      // what the agent gets back beside its answer
	answer *run.Answer // of the last one that was answered
}

type callState uint8

const (
	callReady    callState = iota // wants its budget
	callBlocked                   // waits for it
	callReserved                  // has it, will be offered
	callOffered                   // the wish is open
	callStarted                   // CallStarted is recorded
	callCut                       // cancelled, its end is awaited by Finish only
	callAsked                     // a person is asked
	callSleeping
	callUnsure // a `do` was interrupted, a person is asked what became of it
	callWants  // the agent asked something in mid-call, a person is asked that
)

// changes reports whether the call does something to the world.
func (c *call) changes() bool { return c.effect != types.Think && c.effect != types.Read }

// cancelled reports whether it is told to end.
func (c *call) cancelled() bool { return c.cancel != nil && c.cancel.open }

// startCall renders what a call sends, once for all its attempts, and offers it.
func (m *Machine) startCall(n *node) {
	pn := m.plan(n)
	sig := &m.p.Callees[pn.Call.Callee]
	made := &struct {
		call call
		wish run.CallWish // what is sent the first time: mostly it is all that is sent
	}{}
	c, w := &made.call, &made.wish
	if err := m.render(n, w); err != nil {
		m.fail(n, m.within(n, err), false)
		return
	}
	if m.calls[w.Path] != nil { // a step named `then` beside a nameless `if`: the answers of two calls could not be told apart
		m.fail(n, m.fault(n, "E_PATH", "value", "another step under way has the path "+string(w.Path)+" too: rename it"), false)
		return
	}
	switch sig.Kind {
	case types.Ask:
		m.startAsk(n, sig, w)
		return
	case types.Sleep:
		m.startSleep(n, w)
		return
	}
	if other := m.deviates(n, w); other != "" {
		m.fail(n, m.fault(n, "E_APPROVAL", "approval", "it was approved with another "+other+" than it would be called with now: nothing was done"), false)
		return
	}
	c.node, c.path, c.attempt, c.effect, c.free, c.scope, c.sent = n, w.Path, 1, sig.Effect, sig.FreeWith(w.Args), m.budgetOf(n), w
	n.call = c
	if !c.free {
		if priceOf(sig, w) == nil && (sig.Effect == types.Think || sig.Structured) && c.scope.counts(func(a plan.Amount) bool { return a.Money > 0 }) {
			n.call = nil
			m.fail(n, m.fault(n, "E_BUDGET", "budget", "the price of "+pn.Call.Agent+" is not known, so it cannot be kept within a budget in $"), false)
			return
		}
	}
	m.calls[c.path] = c
	m.active++
	m.estimate(c)
	m.offer(c)
}

func (m *Machine) estimate(c *call) {
	c.need = run.Amount{}
	if !c.free && c.scope != nil {
		c.need = worstCase(c.sent.Callee, c.sent)
	} else if !c.free {
		c.need = run.Amount{Calls: 1}
	}
}

// offer opens the wish for the next attempt, once its budget is reserved.
func (m *Machine) offer(c *call) {
	switch c.state {
	case callReady:
		if !c.free && c.scope != nil && !m.wide && !m.kept.prefix && !m.hasKept(c.path) && !m.reserve(c) {
			return
		}
	case callReserved:
	default:
		return
	}
	c.state = callOffered
	m.openCall(c)
}

func (m *Machine) openCall(c *call) {
	w := c.sent // as it is for the first attempt: most calls have no other
	if c.attempt > 1 || !c.due.IsZero() {
		again := *c.sent
		w = &again
	}
	w.Attempt, w.Due = c.attempt, c.due
	if !c.free {
		w.Reserve = c.need
	}
	c.wish.node, c.wish.wish = c.node, w
	m.openWish(&c.wish)
	m.callOpened(c.path)
}

// again makes the next attempt ready. It goes through the queue, so that nothing starts during a pause.
func (m *Machine) again(c *call, due time.Time) {
	m.closeWish(&c.wish)
	c.state, c.due = callReady, due
	m.enqueue(c.node)
}

// dropCall forgets a call nothing is awaited of any more.
func (m *Machine) dropCall(c *call) {
	m.closeWish(&c.wish)
	if c.cancel != nil {
		m.closeWish(c.cancel)
	}
	if m.calls[c.path] == c {
		delete(m.calls, c.path)
	}
	switch c.state {
	case callAsked, callUnsure, callWants:
		m.asks--
	case callSleeping:
		m.sleeps--
	case callCut:
		m.cut--
	default:
		m.active--
	}
	if c.blocked != nil {
		c.blocked.live--
		c.blocked = nil
	}
	m.settle(c, run.Amount{}) // gives back what no attempt has used
}

// stopCall ends a call because its block ended. It reports whether the end of a `do` is awaited. Questions and waits are `do` for the order they stand in;
// nothing of them is under way in the world, so they are withdrawn at once.
func (m *Machine) stopCall(c *call, told bool) bool {
	switch {
	case c.state == callStarted && c.changes():
		if told && !c.cancelled() {
			m.closeWish(&c.wish)
			m.openCancel(c, true)
		}
		return true
	case c.state == callOffered && c.free && c.changes() && c.wish.turn != m.turn:
		return true // under way for all we know; it ends at once
	case c.state == callStarted:
		m.closeWish(&c.wish)
		m.active--
		m.cut++
		c.state = callCut
		c.node = nil
		m.openCancel(c, false)
		return false
	}
	m.noteWithdrawn(c)
	m.decided(c.path, false)
	m.dropCall(c)
	return false
}

func (m *Machine) openCancel(c *call, grace bool) {
	if c.cancel == nil {
		c.cancel = &holder{}
	}
	c.cancel.node = c.node
	c.cancel.wish = &run.CancelWish{Path: c.path, Attempt: c.attempt, Grace: grace}
	m.openWish(c.cancel)
}

func (m *Machine) callStarted(b *run.CallStarted) error {
	c := m.calls[b.Path]
	if c == nil || c.state != callOffered || c.attempt != b.Attempt || c.free || !c.wish.open {
		return ErrStale
	}
	drifted := b.Fingerprint != "" && b.Fingerprint != c.sent.Fingerprint
	if drifted && m.kept.taking {
		return ErrStale // of a fork: what was recorded in its origin is no answer to this
	}
	c.state = callStarted
	if drifted {
		m.failFrame(m.root, &run.Error{Code: "E_DRIFT", Kind: "drift", Path: b.Path, Attempt: b.Attempt, Agent: c.sent.Agent,
			Message: "what this step sends is not what was recorded when it was called: the plan or the program that reads the history has changed"}, true)
	}
	return nil
}

// Calling names the agent whose answer is awaited at a path; "": none is.
func (m *Machine) Calling(path run.Path) string {
	if c := m.calls[path]; c != nil && c.sent != nil {
		return c.sent.Agent
	}
	return ""
}

// ends finds the call whose attempt a fact ends.
func (m *Machine) ends(path run.Path, attempt int, cached bool) *call {
	c := m.calls[path]
	if c == nil || c.attempt != attempt {
		return nil
	}
	switch c.state {
	case callStarted, callCut:
		return c
	case callOffered, callReserved, callBlocked, callReady:
		if c.state == callOffered && (c.free || cached) && c.wish.open {
			return c
		}
	}
	return nil
}

func (m *Machine) callDone(b *run.CallDone) error {
	c := m.ends(b.Path, b.Attempt, b.Source == "cache")
	if c == nil {
		return ErrStale
	}
	m.account(c, b.Usage, b.Source, false)
	if m.ended(c) {
		return nil
	}
	n := c.node
	m.dropCall(c)
	m.met(b.Value)
	m.done(n, b.Value)
	return nil
}

func (m *Machine) callFailed(b *run.CallFailed) error {
	c := m.ends(b.Path, b.Attempt, false)
	if c == nil {
		return ErrStale
	}
	m.account(c, b.Usage, "", b.Outcome == run.Interrupted)
	if m.ended(c) {
		return nil
	}
	pc := m.plan(c.node).Call
	switch {
	case b.Outcome == run.Interrupted && (!c.changes() || c.free):
		c.attempt++
		m.note(c.node, run.Note{Kind: run.NoteRetry, Path: c.path, Attempt: c.attempt})
		m.again(c, time.Time{})
	case b.Outcome == run.Interrupted && !m.caught(c.node):
		m.unsure(c)
	case b.Outcome == run.Asks && b.Form != nil:
		m.wants(c, b)
	case b.Outcome == run.Invalid && c.repair < pc.Repair:
		m.repair(c, b)
	case passes(b.Outcome) && c.retries < pc.Retry:
		c.retries++
		wait := max(backoff(m.seed, c.path, c.retries, pc.Wait), b.RetryAfter)
		c.attempt++
		m.note(c.node, run.Note{Kind: run.NoteRetry, Path: c.path, Attempt: c.attempt, Until: m.now.Add(wait)})
		m.again(c, m.now.Add(wait))
	default:
		n := c.node
		m.dropCall(c)
		n.call = nil
		m.fall(n, m.callError(n, c, b), false)
	}
	return nil
}

func (m *Machine) callEnded(b *run.CallEnded) error {
	c := m.ends(b.Path, b.Attempt, false)
	if c == nil {
		return ErrStale
	}
	if c.state != callCut && !c.told && !c.cancelled() {
		return ErrStale // nobody asked it to end
	}
	m.account(c, b.Usage, "", b.Usage == run.Usage{})
	m.ended(c)
	return nil
}

// ended closes a call that nobody wants the value of: it was cut loose, or its block is ending. It reports whether that was so.
func (m *Machine) ended(c *call) bool {
	n := c.node
	if n == nil {
		m.dropCall(c)
		return true
	}
	if n.state != nodeEnding {
		return false
	}
	m.dropCall(c)
	m.leave(n)
	n.state = nodeStopped
	m.release(n.f)
	return true
}

// account books what an attempt used. unknown: nothing is known of it, so all it had reserved counts as spent.
func (m *Machine) account(c *call, u run.Usage, source string, unknown bool) {
	if m.kept.taking {
		return // its origin has paid for it
	}
	m.usage = m.usage.Add(u)
	spent := u.Spent(c.need, source)
	if unknown && u == (run.Usage{}) {
		spent = c.need
	}
	m.settle(c, spent)
}

// passes tells which failures may pass by themselves.
func passes(o run.Outcome) bool {
	return o == run.Timeout || o == run.Unavailable || o == run.RateLimited
}

const (
	retryWait = time.Second // before the first retry, where the script does not say
	retryCap  = 30 * time.Second
)

// backoff is how long to wait before a retry (from 1): full jitter, that is anything from nothing to wait doubled for each retry before, up to 30s (or wait
// itself where the script says more). The dice are a hash of seed, path and retry, so that a fold rolls them the same.
func backoff(seed uint64, path run.Path, retry int, wait time.Duration) time.Duration {
	if wait <= 0 {
		wait = retryWait
	}
	limit := max(wait, retryCap)
	for i := 1; i < retry && wait < limit; i++ {
		wait *= 2
	}
	wait = min(wait, limit)
	h := uint64(14695981039346656037) ^ seed
	for i := 0; i < len(path); i++ {
		h = (h ^ uint64(path[i])) * 1099511628211
	}
	h = (h ^ uint64(retry)) * 1099511628211
	// the finish of splitmix64: FNV alone leaves the high bits of short inputs alike
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	h ^= h >> 31
	return time.Duration(h % uint64(wait+1))
}

// repair asks the same agent again, with its answer and what was wrong with it.
func (m *Machine) repair(c *call, b *run.CallFailed) {
	m.closeWish(&c.wish)
	delete(m.calls, c.path)
	c.repair++
	c.attempt, c.retries = 1, 0
	c.invalid = &invalid{b.Answer, b.Problems}
	if c.asking != nil {
		c.asking.count = 0
	}
	w := *c.sent
	c.sent = &w
	m.repairing(c)
	m.calls[c.path] = c
	m.estimate(c)
	m.again(c, time.Time{})
}

// repairing writes the repair round into what is sent.
func (m *Machine) repairing(c *call) {
	c.path = m.path(c.node).Repaired(c.repair)
	c.sent.Path, c.sent.Key = c.path, c.path.Key(m.id)
	problems := c.invalid.problems
	if len(problems) == 0 {
		problems = []string{"the answer does not fit what was asked for"}
	}
	c.sent.Repair = &run.Repair{Round: c.repair, Answer: c.invalid.answer, Problems: problems}
	m.seal(c)
}

// seal makes the fingerprint of what is sent anew.
func (m *Machine) seal(c *call) {
	if !c.free {
		c.sent.Fingerprint = m.fingerprint(c.node, c.sent)
	}
}

func (m *Machine) callError(n *node, c *call, b *run.CallFailed) *run.Error {
	code := "E_CALL"
	switch b.Outcome {
	case run.Timeout:
		code = "E_TIMEOUT"
	case run.Invalid:
		code = "E_INVALID"
	case run.Denied:
		code = "E_DENIED"
	case run.Interrupted:
		code = "E_INTERRUPTED"
	}
	message := b.Message
	for _, p := range b.Problems {
		if message != "" {
			message += "; "
		}
		message += p
	}
	err := m.fault(n, code, string(b.Outcome), message)
	err.Path, err.Attempt = c.path, b.Attempt
	return err
}

// render makes everything a call sends, in w, which is empty.
func (m *Machine) render(n *node, w *run.CallWish) *run.Error {
	pn := m.plan(n)
	pc := pn.Call
	sig := &m.p.Callees[pc.Callee]
	callee := &m.t.callees[pc.Callee]
	key := m.key(n)
	w.Path, w.Key, w.Callee, w.Agent, w.As, w.Timeout, w.Cache = m.unkeyed(key), string(key), sig, pc.Agent, pc.As, pn.Timeout, pc.Cache
	w.Args = callee.defaults
	if len(pc.Args) > 0 {
		w.Args = make(map[string]any, len(pc.Args)+len(callee.defaults))
		for k, v := range callee.defaults {
			w.Args[k] = v
		}
	}
	for i := range pc.Args {
		a := &pc.Args[i]
		v, err := m.eval(n.f, &a.Value, nil)
		if err != nil {
			return err
		}
		t, ok := callee.params[a.Name]
		if v == nil && (t.Kind != types.Any || t.Optional) { // an optional one that is not there
			delete(w.Args, a.Name)
			continue
		}
		if ok {
			if want := misfit(t, v); want != "" {
				return valueError(a.Value.At, "the argument "+a.Name+" must be "+want+", this is "+brief(v))
			}
		}
		w.Args[a.Name] = v
	}
	var err *run.Error
	switch {
	case len(pc.Words) > 0:
		w.Text, err = m.words(n.f, pc.Words)
	case pc.Text == nil:
	case sig.Text == types.URL:
		w.Text, err = m.url(n.f, pc.Text)
	default:
		w.Text, w.Shared, err = m.textWith(n.f, pc.Text, nil, int(m.table(n).shared))
	}
	if err != nil {
		return err
	}
	w.System = sig.System
	for i := range pc.System {
		v, err := m.text(n.f, &pc.System[i], nil)
		if err != nil {
			return err
		}
		if w.System != "" || w.Persona != nil {
			say(w, "\n\n")
		}
		if problem := say(w, v); problem != "" {
			return valueError(pc.System[i].At, problem)
		}
	}
	if !sig.FreeWith(w.Args) && sig.Kind == types.Call {
		w.Fingerprint = m.fingerprint(n, w)
	}
	return nil
}

// say adds to the system prompt. From the first large text on it is kept in parts.
func say(w *run.CallWish, v any) (problem string) {
	switch v := v.(type) {
	case string:
		if w.Persona == nil {
			w.System += v
		} else {
			w.Persona = append(w.Persona, v)
		}
	case types.Parts:
		for _, p := range v {
			if _, secret := p.(types.Secret); secret {
				return "a secret cannot stand in a system prompt"
			}
		}
		if w.Persona == nil {
			w.Persona, w.System = types.Parts{w.System}, ""
		}
		w.Persona = append(w.Persona, v...)
	}
	return ""
}

// misfit names what a parameter wants when a value, of which the checker knew nothing, cannot stand there.
func misfit(t types.Type, v any) string {
	switch v.(type) {
	case types.Secret, types.Parts:
		return "" // where a secret may stand is proved before the run
	}
	ok := true
	switch t.Kind {
	case types.String:
		_, ok = v.(string)
		if _, large := v.(types.Large); large {
			ok = true
		}
	case types.Int:
		_, ok = v.(int)
	case types.Float:
		_, ok = v.(float64)
		if _, isInt := v.(int); isInt {
			ok = true
		}
	case types.Bool:
		_, ok = v.(bool)
	case types.File:
		_, ok = v.(types.FileValue)
	case types.List:
		_, ok = v.([]any)
	case types.Record:
		_, ok = v.(map[string]any)
	case types.Enum:
		s, isText := v.(string)
		ok = isText && slices.Contains(t.Values, s)
	}
	if ok {
		return ""
	}
	return t.String()
}

// fingerprint is the hash of all that is sent: a fold renders it again and compares. Every text goes in behind its length, so that none can pass for two.
func (m *Machine) fingerprint(n *node, w *run.CallWish) string {
	b := m.buf[:0]
	b = appendText(b, w.Callee.Use)
	b = appendText(b, w.Callee.Version)
	b = appendText(b, w.Agent)
	b = appendText(b, w.System)
	b = appendText(b, m.table(n).as)
	var err error
	if w.Persona != nil {
		b, err = run.AppendValue(append(b, 6), w.Persona)
	}
	switch text := w.Text.(type) {
	case nil:
		b = append(b, 0)
	case string:
		b = appendText(append(b, 1), text)
	case []string:
		b = binary.AppendUvarint(append(b, 2), uint64(len(text)))
		for _, s := range text {
			b = appendText(b, s)
		}
	default:
		if err == nil {
			b, err = run.AppendValue(append(b, 3), text)
		}
	}
	if len(w.Args) > 0 && err == nil {
		b, err = run.AppendValue(append(b, 4), w.Args)
	}
	if w.Repair != nil && err == nil {
		b = binary.AppendUvarint(append(b, 5), uint64(w.Repair.Round))
		for _, p := range w.Repair.Problems {
			b = appendText(b, p)
		}
		b, err = run.AppendValue(b, w.Repair.Answer)
	}
	if w.Answer != nil && err == nil {
		b = appendText(append(b, 7), w.Answer.Token)
		b, err = run.AppendValue(b, w.Answer.Value)
	}
	m.buf = b
	if err != nil { // a value that has no encoding, such as one nested too deep, would not survive its fact either
		return ""
	}
	sum := sha256.Sum256(b)
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], sum[:])
	return string(digits[:])
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
