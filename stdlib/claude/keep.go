package claude

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/slopstudios/slop/stdlib/model"
)

// The API keeps the beginning of a request that is marked, for five minutes from its last use, and reads it again for a tenth of the price or less. What it keeps it
// has only once the first answer begins: of calls that come together with the same beginning the first goes out alone, and the others wait until it is answered.
//
//	call 1 ──▶ request ──▶ first token ──▶ …
//	call 2…n ── wait ─────────┴──▶ requests, all at once
//
// Waiting ends when the first call does, however it ends, when the call's own time is over, and after a while in any case.
const (
	// minKept is how long a beginning must be, in bytes, to be worth a mark: the API keeps none below 1024 tokens, some models none below 4096.
	minKept = 4096
	// keptFor is how long a beginning is sure to be there after it was used.
	keptFor = 4 * time.Minute
	// patience is how long a call waits for another at most.
	patience = 30 * time.Second
	// maxBeginnings bounds what is remembered.
	maxBeginnings = 1024
)

// marks say where a request is marked: behind its system prompt, and behind so many bytes of its first text.
type marks struct {
	system bool
	text   int
	end    bool // and at its end: the next round of tools begins with all of it
}

func marksOf(req model.Request) marks {
	m := marks{system: len(req.System) >= minKept}
	if len(req.Tools) > 0 {
		size := len(req.System)
		for _, t := range req.Turns {
			size += len(t.Text) + len(t.Raw)
			for _, a := range t.Answers {
				size += len(a.Text)
			}
		}
		m.end = size >= minKept
	}
	text := req.Turns[0].Text
	if n := req.Shared; n > 0 && n <= len(text) && len(req.System)+n >= minKept && strings.TrimSpace(text[:n]) != "" {
		m.text = n
		if strings.TrimSpace(text[n:]) == "" {
			m.text = len(text) // a block of blanks is refused
		}
	}
	return m
}

// put marks a request.
func (m marks) put(params *anthropic.MessageNewParams) {
	kept := anthropic.NewCacheControlEphemeralParam()
	if m.system {
		params.System[0].CacheControl = kept
	}
	if first := params.Messages[0].Content; m.text > 0 {
		text := first[0].OfText.Text
		first[0].OfText.Text, first[0].OfText.CacheControl = text[:m.text], kept
		if m.text < len(text) {
			params.Messages[0].Content = append(first, anthropic.NewTextBlock(text[m.text:]))
		}
	}
	if last := params.Messages[len(params.Messages)-1].Content; m.end && len(last) > 0 {
		if c := last[len(last)-1].GetCacheControl(); c != nil {
			*c = kept
		}
	}
}

// beginning names what a request begins with up to its last mark; false when it has none.
func (m marks) beginning(req model.Request, bound bool) (key [sha256.Size]byte, ok bool) {
	if !m.system && m.text == 0 {
		return key, false
	}
	schema := ""
	if bound {
		schema = string(req.Shape.Schema(false))
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q", req.Model, req.Effort, schema, req.System, req.Turns[0].Text[:m.text])
	for _, t := range req.Tools {
		fmt.Fprintf(h, " %q %q %q", t.Name, t.Doc, t.Input)
	}
	return [sha256.Size]byte(h.Sum(nil)), true
}

// beginnings are those of late, by name.
type beginnings struct {
	mu   sync.Mutex
	late map[[sha256.Size]byte]*kept
}

// kept is what is known of a beginning.
type kept struct {
	first chan struct{} // closed when the first call is answered or over; nil: there is none
	until time.Time     // so long it is there
	vain  bool          // it is not kept: too short for the model, or a server that keeps nothing
}

// turn is one call's part in it.
type turn struct {
	of    *beginnings
	what  *kept
	first chan struct{} // not nil: this call goes first, and closes it
}

// enter waits until a call with that beginning may go out. It returns at once unless another is going first; waits is called before it waits.
func (b *beginnings) enter(ctx context.Context, key [sha256.Size]byte, waits func()) *turn {
	b.mu.Lock()
	now := time.Now()
	k := b.late[key]
	if k == nil {
		if b.late == nil {
			b.late = map[[sha256.Size]byte]*kept{}
		}
		for old, k := range b.late {
			if len(b.late) >= maxBeginnings && k.first == nil && now.After(k.until) {
				delete(b.late, old)
			}
		}
		k = &kept{}
		b.late[key] = k
	}
	t := &turn{of: b, what: k}
	if k.vain || now.Before(k.until) {
		b.mu.Unlock()
		return t
	}
	first := k.first
	if first == nil {
		t.first = make(chan struct{})
		k.first = t.first
		b.mu.Unlock()
		return t
	}
	b.mu.Unlock()
	waits()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-first:
	case <-ctx.Done():
	case <-limit.C:
	}
	return t
}

// answered says that the answer has begun, and whether the beginning was kept or found. The others go on.
func (t *turn) answered(found bool) {
	if t == nil {
		return
	}
	t.of.mu.Lock()
	if found {
		t.what.until, t.what.vain = time.Now().Add(keptFor), false
	} else if t.first != nil {
		t.what.vain = true
	}
	t.of.mu.Unlock()
	t.over()
}

// over says that the call is over, whatever came of it. It may be called again.
func (t *turn) over() {
	if t == nil || t.first == nil {
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.what.first == t.first {
		t.what.first = nil
		close(t.first)
	}
}
