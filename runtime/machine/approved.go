package machine

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/slopstudios/slop/runtime/run"
)

// approval is a call as somebody was shown it before it is made.
type approval struct {
	Ask    run.Path   `json:"ask"`
	Given  bool       `json:"given,omitempty"` // the answer was yes
	Action run.Action `json:"action"`
}

// expect takes note of the calls that a question shows. What a history shows counts, not what would be shown today.
func (m *Machine) expect(b *run.Asked) {
	for i := range b.Form.Actions {
		if m.approved == nil {
			m.approved = map[run.Path][]approval{}
		}
		a := &b.Form.Actions[i]
		m.approved[a.Path] = append(m.approved[a.Path], approval{Ask: b.Path, Action: *a})
	}
}

// decided takes note of an answer, or that there will be none. After a no nothing of it is approved, and what the script does all the same is its own business.
func (m *Machine) decided(ask run.Path, yes bool) {
	for path, list := range m.approved {
		list = slices.DeleteFunc(list, func(a approval) bool { return a.Ask == ask && !yes })
		for i := range list {
			list[i].Given = list[i].Given || list[i].Ask == ask
		}
		if m.approved[path] = list; len(list) == 0 {
			delete(m.approved, path)
		}
	}
}

// sameActions reports whether what was shown is what would be shown. An old history shows nothing, and what was not known then may be known now.
func sameActions(was, now []run.Action) bool {
	return len(was) == 0 || slices.EqualFunc(was, now, func(a, b run.Action) bool {
		return a.Path == b.Path && a.Agent == b.Agent && (a.Fingerprint == "" || a.Fingerprint == b.Fingerprint) && slices.EqualFunc(a.Sent, b.Sent, func(x, y run.Sent) bool {
			return x.Name == y.Name && (x.Unknown || !y.Unknown && sameJSON(x.Value, y.Value))
		})
	})
}

// sameJSON compares what was stored, which may have been laid out for people since, with what the machine writes.
func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y, one, two bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return false
	}
	json.HTMLEscape(&one, x.Bytes())
	json.HTMLEscape(&two, y.Bytes())
	return bytes.Equal(one.Bytes(), two.Bytes())
}

// deviates says in what a call is not the one that was approved; empty: it is, or nobody had to approve it. It is asked once for a call, before its first attempt.
func (m *Machine) deviates(n *node, w *run.CallWish) string {
	list, ok := m.approved[w.Path]
	if !ok {
		return ""
	}
	delete(m.approved, w.Path)
	var now []run.Sent
	for _, a := range list {
		if !a.Given {
			continue
		}
		if now == nil {
			now = disclosed(w)
		}
		for _, was := range a.Action.Sent {
			i := slices.IndexFunc(now, func(s run.Sent) bool { return s.Name == was.Name })
			if !was.Unknown && (i < 0 || !sameJSON(now[i].Value, was.Value)) {
				return was.Name
			}
		}
		for _, s := range now {
			if !slices.ContainsFunc(a.Action.Sent, func(was run.Sent) bool { return s.Name == was.Name }) {
				return s.Name
			}
		}
		if a.Action.Agent != w.Agent || a.Action.Fingerprint != "" && a.Action.Fingerprint != m.fingerprint(n, w) {
			return "agent"
		}
	}
	return ""
}
