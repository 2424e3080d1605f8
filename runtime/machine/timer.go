package machine

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// runDeadline is the timer of the whole run. No path begins so.
const runDeadline = "@run"

// timer is a sleep under way.
type timer struct {
	id    string
	node  *node // nil: of the run
	kind  timerKind
	until time.Time
	after time.Duration // what the script says, for the message
	wish  holder
}

type timerKind uint8

const (
	waitTimer     timerKind = iota // a `wait` step: its end
	askTimer                       // the last moment of an answer
	deadlineTimer                  // of a block or the run: moves by the length of a pause
)

func (m *Machine) addTimer(t *timer) {
	m.timers[t.id] = t
	m.openTimer(t)
}

func (m *Machine) openTimer(t *timer) {
	if t.wish.open {
		return
	}
	t.wish.node = t.node
	w := &run.SleepWish{Timer: t.id, Until: t.until}
	if t.node != nil {
		w.Path = m.path(t.node)
	}
	t.wish.wish = w
	m.openWish(&t.wish)
	if len(m.kept.waiting) > 0 {
		m.turnOf(timerKey(t.id))
	}
}

// dropTimer forgets a timer, if there is one.
func (m *Machine) dropTimer(t *timer) {
	if t == nil || m.timers[t.id] != t {
		return
	}
	m.closeWish(&t.wish)
	delete(m.timers, t.id)
}

func (m *Machine) timersInOrder() []*timer {
	list := make([]*timer, 0, len(m.timers))
	for _, t := range m.timers {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *timer) int { return strings.Compare(a.id, b.id) })
	return list
}

func (m *Machine) timerFired(b *run.TimerFired) error {
	t := m.timers[b.Timer]
	if t == nil || !t.wish.open {
		return ErrStale
	}
	m.closeWish(&t.wish)
	if m.paused {
		m.held = append(m.held, t.id) // it takes effect at the resume, unless its step ends before
		return nil
	}
	m.fire(t)
	return nil
}

func (m *Machine) fire(t *timer) {
	m.dropTimer(t)
	n := t.node
	if n == nil {
		m.failFrame(m.root, &run.Error{Code: "E_TIMEOUT", Kind: "timeout", Message: "the run did not end within " + duration(t.after)}, true)
		return
	}
	n.timer = nil
	switch t.kind {
	case waitTimer:
		m.note(n, run.Note{Kind: run.NoteWaited})
		m.dropCall(n.call)
		m.done(n, nil)
	case askTimer:
		c := n.call
		message := "no answer within " + duration(t.after)
		if c.state == callSleeping {
			message = "the wait is longer than the timeout of " + duration(t.after)
		}
		m.decided(c.path, false)
		m.dropCall(c)
		n.call = nil
		m.fail(n, m.fault(n, "E_TIMEOUT", "timeout", message), false)
	case deadlineTimer:
		m.fail(n, m.fault(n, "E_TIMEOUT", "timeout", "not done within "+duration(t.after)), true)
	}
}

// duration is written as in a script: 2d, 90s, 1m30s.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// startSleep begins a `wait`: its end is `for` a duration from now, or `until` a moment.
func (m *Machine) startSleep(n *node, w *run.CallWish) {
	until, ok := m.now, false
	what := w.Args["until"]
	if text := firstOf(w.Text, w.Args["for"]); text != nil {
		what = text
		if s, isText := text.(string); isText {
			var d time.Duration
			if d, ok = parseDuration(s); ok {
				until = m.now.Add(d)
			}
		}
	} else if s, isText := what.(string); isText {
		if at, err := time.Parse(time.RFC3339, s); err == nil && at.Sub(m.now) <= types.MaxDuration {
			until, ok = at.UTC(), true
			if until.Before(m.now) {
				until = m.now
			}
		}
	}
	if !ok {
		m.fail(n, m.fault(n, "E_VALUE", "value", "wait needs a duration such as \"90s\", \"2h\", \"7d\", or `until` a moment such as \"2026-12-24T18:00:00Z\"; this is "+brief(what)), false)
		return
	}
	n.call = &call{node: n, path: m.path(n), attempt: 1, state: callSleeping}
	m.sleeps++
	kind, after := waitTimer, time.Duration(0)
	if limit := m.plan(n).Timeout; limit > 0 && until.After(m.now.Add(limit)) {
		kind, after, until = askTimer, limit, m.now.Add(limit)
	}
	n.timer = &timer{id: string(m.path(n)), node: n, kind: kind, until: until, after: after}
	m.addTimer(n.timer)
	m.note(n, run.Note{Kind: run.NoteWaits, Until: until})
}

func firstOf(a, b any) any {
	if a != nil {
		return a
	}
	return b
}

// parseDuration reads "90s", "1h30m", "7d", "500ms". It is bounded by types.MaxDuration.
func parseDuration(s string) (time.Duration, bool) {
	units := []struct {
		name string
		unit time.Duration
	}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}}
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, false
	}
	var sum time.Duration
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if i <= 0 || i > 15 {
			return 0, false
		}
		number := s[:i]
		s = s[i:]
		found := false
		for _, u := range units {
			if strings.HasPrefix(s, u.name) && (len(s) == len(u.name) || s[len(u.name)] >= '0' && s[len(u.name)] <= '9') {
				v, ok := times(number, u.unit)
				if !ok {
					return 0, false
				}
				sum += v
				s = s[len(u.name):]
				found = true
				break
			}
		}
		if !found || sum > types.MaxDuration {
			return 0, false
		}
	}
	return sum, true
}

// times reads a decimal number of units.
func times(number string, unit time.Duration) (time.Duration, bool) {
	v, err := run.DecodeValue([]byte(number))
	if err != nil {
		return 0, false
	}
	var f float64
	switch v := v.(type) {
	case int:
		f = float64(v)
	case float64:
		f = v
	}
	f *= float64(unit)
	if f < 0 || f > float64(types.MaxDuration) {
		return 0, false
	}
	return time.Duration(f), true
}
