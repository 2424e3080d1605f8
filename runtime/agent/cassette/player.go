package cassette

import (
	"bytes"

	"github.com/slopstudios/slop/runtime/run"
)

// Player answers calls out of recordings. It is for one test: what has been given is remembered.
type Player struct {
	calls []*Call
	given map[*Call]bool
	names map[*Call]string
}

// Play makes a player of recordings.
func Play(recordings ...*Recording) *Player {
	p := &Player{given: map[*Call]bool{}, names: map[*Call]string{}}
	for _, r := range recordings {
		for _, c := range r.Calls {
			p.calls = append(p.calls, c)
			p.names[c] = r.Name
		}
	}
	return p
}

// Take gives the recorded call that sent the same. The one at the same place comes first, then those that were not given yet; when all were, the last is given
// again. nil: nothing of the kind is recorded.
func (p *Player) Take(want *Call) *Call {
	var found *Call
	for _, c := range p.calls {
		if want.Fingerprint == "" || c.Fingerprint != want.Fingerprint {
			continue
		}
		switch {
		case !p.given[c] && c.Path == want.Path && c.Attempt == want.Attempt:
			p.given[c] = true
			return c
		case found == nil || p.given[found]:
			found = c
		}
	}
	if found != nil {
		p.given[found] = true
	}
	return found
}

// Near gives the recorded call at the place of want, and the name of its recording: what it was before it changed. nil: there is none.
func (p *Player) Near(want *Call) (*Call, string) {
	var found *Call
	for _, c := range p.calls {
		if c.Path == want.Path && (found == nil || c.Attempt == want.Attempt && found.Attempt != want.Attempt) {
			found = c
		}
	}
	return found, p.names[found]
}

// Unused are the answers that nobody asked for.
func (p *Player) Unused() []*Call {
	var out []*Call
	for _, c := range p.calls {
		if !p.given[c] && !c.Open() {
			out = append(out, c)
		}
	}
	return out
}

// Given notes that the flow had an answer without asking: out of the cache.
func (p *Player) Given(path run.Path, attempt int) {
	for _, c := range p.calls {
		if c.Path == path && c.Attempt == attempt {
			p.given[c] = true
		}
	}
}

// Same reports whether two values are the same, with files told by their bytes' hash.
func Same(a, b any) bool {
	x, err := run.EncodeValue(bounded(a))
	if err != nil {
		return false
	}
	y, err := run.EncodeValue(bounded(b))
	return err == nil && bytes.Equal(x, y)
}

// Changes names what is sent otherwise than recorded, in the order a person would look for it.
func Changes(was, is *Call) []string {
	var out []string
	if was.Agent != is.Agent || was.Use != is.Use {
		out = append(out, "agent")
	}
	for _, part := range parts {
		if !Same(was.Sent[part], is.Sent[part]) {
			out = append(out, part)
		}
	}
	return out
}

// Text is what a call sends, as people read it.
func (c *Call) Text() string {
	served := ""
	if c.Use != "" && c.Use != c.Agent {
		served = " (" + c.Use + ")"
	}
	return "agent: " + c.Agent + served + "\n" + words(c.Sent)
}
