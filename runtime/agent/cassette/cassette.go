// Package cassette keeps what agents and people answered in a run as a recording: a file that people read in review, and that answers a test in their place.
package cassette

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// Recording is a run as far as it met the world.
type Recording struct {
	Name    string // of its file
	Flow    string
	ID      run.ID    // "" unless the flow looks at its run, so that recording anew changes nothing else
	Started time.Time // likewise
	Options run.Options
	Inputs  map[string]any // as they were given
	Calls   []*Call        // by path and attempt
	Status  run.Status
	Output  any
	Error   *run.Error
}

// Call is an attempt of a call, or a question to people.
type Call struct {
	Path        run.Path
	Attempt     int // 0: a question
	Agent       string
	Use         string // what serves the agent; "" of a question
	Sent        map[string]any
	Fingerprint string // of all that is sent
	Done        bool   // Value is the answer
	Value       any
	Failed      *run.CallFailed // nil: it did not fail; its path and attempt are those of the call
	Usage       run.Usage
}

// Open reports that no answer came before nobody wanted it any more.
func (c *Call) Open() bool { return !c.Done && c.Failed == nil }

// ErrNotEnded says that a run has no end yet, or was cancelled: what it would have come to is not known.
var ErrNotEnded = errors.New("the run did not come to an end of its own")

// Record makes the recording of a run out of its history. blobs holds the bytes of all that the history names; redact blacks out what must not be kept.
func Record(h *travel.History, blobs map[string][]byte, redact func(string) string) (*Recording, error) {
	w := recorder{blobs: blobs, redact: redact, calls: map[run.WishID]*Call{}, out: &Recording{Flow: h.Plan.Name}}
	m := machine.New(h.ID, h.Plan)
	for _, f := range h.Facts {
		switch b := f.Body.(type) {
		case *run.Started:
			w.out.Inputs, _ = w.whole(b.Inputs).(map[string]any)
			w.out.Options = run.Options{Budget: b.Options.Budget, Timeout: b.Options.Timeout}
			if looksAtRun(h.Plan) {
				w.out.ID, w.out.Started = h.ID, f.At
			}
		case *run.Finished:
			w.out.Status, w.out.Output, w.out.Error = b.Status, w.whole(b.Value), b.Error
			if w.out.Error != nil {
				e := *w.out.Error
				e.Message = redact(e.Message)
				w.out.Error = &e
			}
			continue
		}
		late := m.Cancelling(ended(f.Body))
		delta, err := m.Apply(f)
		if errors.Is(err, machine.ErrStale) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("record run %s: %w", h.ID, err)
		}
		if !late {
			w.answered(f.Body)
		}
		for _, t := range delta.Taken {
			w.opened(t.Wish)
			w.answered(t.Fact.Body)
		}
		for _, wish := range delta.Opened {
			w.opened(wish)
		}
	}
	if w.out.Status != run.Succeeded && w.out.Status != run.Failed {
		return nil, ErrNotEnded
	}
	slices.SortFunc(w.out.Calls, func(a, b *Call) int {
		if c := natural(string(a.Path), string(b.Path)); c != 0 {
			return c
		}
		return a.Attempt - b.Attempt
	})
	return w.out, nil
}

// looksAtRun reports whether a flow mentions its own run, which is another each time.
func looksAtRun(p *plan.Plan) bool {
	found := false
	for _, b := range p.Blocks {
		for i := range b.Nodes {
			plan.Exprs(&b.Nodes[i], func(e *plan.Expr) {
				found = found || strings.Contains(e.Code, "run.") || len(e.Path) > 0 && e.Path[0] == "run"
			})
		}
	}
	return found
}

// ended is the call whose result a fact is; "" of any other fact.
func ended(b run.Body) run.Path {
	switch b := b.(type) {
	case *run.CallDone:
		return b.Path
	case *run.CallFailed:
		return b.Path
	}
	return ""
}

type recorder struct {
	out    *Recording
	calls  map[run.WishID]*Call
	blobs  map[string][]byte
	redact func(string) string
}

// whole gives a value with what it names in its place, less what must not be kept.
func (w *recorder) whole(v any) any {
	switch v := v.(type) {
	case string:
		return w.redact(v)
	case types.Large:
		if data, ok := w.blobs[v.SHA256]; ok {
			return w.redact(string(data))
		}
	case types.FileValue:
		if v.Data == nil {
			v.Data = w.blobs[v.SHA256]
		}
		v.Name = w.redact(v.Name)
		return v
	}
	return each(v, w.whole)
}

func (w *recorder) opened(wish run.Wish) {
	var c *Call
	switch wish := wish.(type) {
	case *run.CallWish:
		if wish.Callee.Use == "echo" {
			return // it answers itself
		}
		c = Asks(wish, w.whole)
	case *run.AskWish:
		c = Questions(wish, w.whole)
	default:
		return
	}
	if w.calls[wish.ID()] == nil {
		w.calls[wish.ID()] = c
		w.out.Calls = append(w.out.Calls, c)
	}
}

func (w *recorder) answered(b run.Body) {
	switch b := b.(type) {
	case *run.CallDone:
		if c := w.calls[run.WishID{Kind: run.CallKind, Name: string(b.Path), Attempt: b.Attempt}]; c != nil {
			c.Done, c.Value, c.Usage = true, w.whole(b.Value), b.Usage
		}
	case *run.CallFailed:
		if c := w.calls[run.WishID{Kind: run.CallKind, Name: string(b.Path), Attempt: b.Attempt}]; c != nil {
			failed := *b
			failed.Path, failed.Attempt, failed.Usage, failed.Source = "", 0, run.Usage{}, ""
			failed.Message, failed.Answer = w.redact(b.Message), w.whole(b.Answer)
			failed.Problems = slices.Clone(b.Problems)
			for i, p := range failed.Problems {
				failed.Problems[i] = w.redact(p)
			}
			c.Failed, c.Usage = &failed, b.Usage
		}
	case *run.Answered:
		if c := w.calls[run.WishID{Kind: run.AskKind, Name: string(b.Path)}]; c != nil {
			c.Done, c.Value = true, w.whole(b.Value)
		}
	}
}

// Asks is a call with all it sends and no answer yet. whole gives values with what they name in its place; nil: they are whole.
func Asks(w *run.CallWish, whole func(any) any) *Call {
	if whole == nil {
		whole = func(v any) any { return v }
	}
	c := &Call{Path: w.Path, Attempt: w.Attempt, Agent: w.Agent, Use: w.Callee.Use, Sent: map[string]any{}}
	put := func(name string, v any) {
		if v != nil && v != "" {
			c.Sent[name] = bounded(v)
		}
	}
	if w.Persona != nil {
		put("system", flat(whole([]any(w.Persona))))
	} else {
		put("system", whole(w.System))
	}
	switch text := w.Text.(type) {
	case types.Parts:
		put("text", flat(whole([]any(text))))
	case []string:
		words := make([]any, len(text))
		for i, word := range text {
			words[i] = word
		}
		put("words", whole(words))
	default:
		put("text", whole(text))
	}
	if len(w.Args) > 0 {
		put("args", whole(w.Args))
	}
	if w.As != nil {
		put("as", w.As.String())
	}
	if r := w.Repair; r != nil {
		problems := make([]any, len(r.Problems))
		for i, p := range r.Problems {
			problems[i] = p
		}
		put("repair", whole(map[string]any{"answer": r.Answer, "problems": problems}))
	}
	if a := w.Answer; a != nil {
		put("told", whole(a.Value))
	}
	c.Fingerprint = fingerprint(c)
	return c
}

// Questions is a question to people without an answer yet.
func Questions(w *run.AskWish, whole func(any) any) *Call {
	if whole == nil {
		whole = func(v any) any { return v }
	}
	text := any(w.Form.Text)
	if w.Form.Large != nil {
		text = []any(w.Form.Large)
	}
	c := &Call{Path: w.Path, Agent: w.Agent, Sent: map[string]any{"kind": w.Form.Kind, "text": bounded(flat(whole(text)))}}
	if len(w.Form.Choices) > 0 {
		choices := make([]any, len(w.Form.Choices))
		for i, choice := range w.Form.Choices {
			choices[i] = choice
		}
		c.Sent["choices"] = whole(choices)
	}
	c.Fingerprint = fingerprint(c)
	return c
}

// fingerprint is the hash of who is called and what is sent, wherever in the flow that is.
func fingerprint(c *Call) string {
	raw, err := run.EncodeValue([]any{c.Agent, c.Use, c.Sent})
	if err != nil {
		return "" // nested too deep: it fits nothing
	}
	return "sha256:" + hash(raw)
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// flat joins the parts of a text. A secret is named in it.
func flat(v any) any {
	parts, ok := v.([]any)
	if !ok {
		return v
	}
	var b strings.Builder
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			b.WriteString(part)
		case types.Secret:
			b.WriteString("‹secret " + part.Name + "›")
		case types.Large:
			b.WriteString("‹" + part.SHA256 + "›")
		}
	}
	return b.String()
}

// maxSent bounds a text in what is sent: that is there to be read and compared.
const maxSent = 16 << 10

// bounded has of what is long and of files the hash alone.
func bounded(v any) any {
	switch v := v.(type) {
	case string:
		if len(v) > maxSent {
			return types.Large{SHA256: hash([]byte(v)), Size: int64(len(v))}
		}
	case types.Parts:
		return bounded(flat([]any(v)))
	case types.FileValue:
		return types.FileValue{Name: v.Name, Size: v.Size, Type: v.Type, SHA256: v.SHA256}
	}
	return each(v, bounded)
}

// each is v with change made to all it holds.
func each(v any, change func(any) any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = change(x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[name] = change(x)
		}
		return out
	case types.Parts:
		out := make(types.Parts, len(v))
		for i, x := range v {
			out[i] = change(x)
		}
		return out
	}
	return v
}

// natural compares paths so that [10] comes behind [2].
func natural(a, b string) int {
	digits := func(s string) int {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return n
	}
	for a != "" && b != "" {
		if n, m := digits(a), digits(b); n > 0 && m > 0 {
			if n != m {
				return n - m
			}
			if c := strings.Compare(a[:n], b[:m]); c != 0 {
				return c
			}
			a, b = a[n:], b[m:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}
