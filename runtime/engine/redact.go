package engine

import (
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
)

// redactor blacks out the values of the secrets that were handed to calls of one run, in all their forms.
// It is used from many goroutines; while no secret has been handed out it costs one load.
type redactor struct {
	mu    sync.Mutex
	known map[string]string // form → what stands in its place
	table atomic.Pointer[table]
}

// table replaces every known form. It is never changed, only replaced.
type table struct {
	replacer *strings.Replacer
	forms    []string
	longest  int
}

// learn makes a secret known before its value goes anywhere.
func (r *redactor) learn(name, value string) {
	if len(value) < agent.MinSecret {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]string{}
	}
	fresh := false
	for _, form := range agent.Forms(value) {
		if _, have := r.known[form]; !have {
			r.known[form] = "‹secret " + name + "›"
			fresh = true
		}
	}
	if !fresh {
		return
	}
	t := &table{}
	for form := range r.known {
		t.forms = append(t.forms, form)
		t.longest = max(t.longest, len(form))
	}
	// A Replacer prefers what comes first: the longer form, so that no rest of a secret stays.
	sort.Slice(t.forms, func(i, j int) bool {
		a, b := t.forms[i], t.forms[j]
		return len(a) > len(b) || len(a) == len(b) && a < b
	})
	pairs := make([]string, 0, 2*len(t.forms))
	for _, form := range t.forms {
		pairs = append(pairs, form, r.known[form])
	}
	t.replacer = strings.NewReplacer(pairs...)
	r.table.Store(t)
}

// acquaint makes the secrets of a plan known where no session is: what a person says may hold them.
func (e *Engine) acquaint(p *plan.Plan, r *redactor) {
	if e.secrets == nil {
		return
	}
	for _, name := range p.Secrets {
		if value, err := e.secrets(name); err == nil { // without it the call that needs it fails, and says so
			r.learn(name, value)
		}
	}
}

// text blacks out s.
func (r *redactor) text(s string) string {
	if t := r.table.Load(); t != nil {
		return t.replacer.Replace(s)
	}
	return s
}

// reason blacks out what a person gives as a reason, and bounds it. What is cut off could leave the beginning of a secret: it is blacked out before.
func (r *redactor) reason(s string) string { return clip(r.text(s), maxMessage) }

// value blacks out every text in v, names of fields included, and leaves v itself untouched.
func (r *redactor) value(v any) any {
	t := r.table.Load()
	if t == nil {
		return v
	}
	return t.value(v)
}

func (t *table) value(v any) any {
	switch v := v.(type) {
	case string:
		return t.replacer.Replace(v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = t.value(item)
		}
		return list
	case map[string]any:
		record := make(map[string]any, len(v))
		for name, field := range v {
			record[t.replacer.Replace(name)] = t.value(field)
		}
		return record
	case types.FileValue:
		v.Name = t.replacer.Replace(v.Name)
		if v.Data != nil {
			v.Data = []byte(t.replacer.Replace(string(v.Data)))
			v.Size = int64(len(v.Data))
		}
		return v
	default:
		return v
	}
}

// stream blacks out a text that comes in pieces: a piece that may be the beginning of a secret is held back until the next one tells.
// It returns what can be shown now and what to hold.
func (r *redactor) stream(held, delta string) (show, hold string) {
	t := r.table.Load()
	if t == nil {
		return held + delta, ""
	}
	text := t.replacer.Replace(held + delta)
	for n := min(len(text), t.longest-1); n > 0; n-- {
		tail := text[len(text)-n:]
		for _, form := range t.forms {
			if len(form) > n && strings.HasPrefix(form, tail) {
				return text[:len(text)-n], tail
			}
		}
	}
	return text, ""
}
