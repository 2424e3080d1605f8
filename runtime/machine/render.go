package machine

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// eval gives the value of an expression that stands in a line of f. extra holds names that have no slot.
func (m *Machine) eval(f *frame, e *plan.Expr, extra map[string]any) (any, *run.Error) {
	if len(e.Path) > 0 {
		v, ok := m.name(f, e, e.Path[0], extra)
		if !ok {
			return nil, valueError(e.At, "there is no value named "+e.Path[0])
		}
		if len(e.Path) == 1 {
			return v, nil
		}
		v, err := eval.Path(v, e.Path[1:])
		if err != nil {
			return nil, valueError(e.At, err.Error())
		}
		return v, nil
	}
	p, err := m.t.program(e.Code)
	if err != nil {
		return nil, valueError(e.At, err.Error())
	}
	names := p.Names()
	env := make(map[string]any, len(names))
	for _, name := range names {
		if v, ok := m.name(f, e, name, extra); ok {
			env[name] = v
		}
	}
	if m.large && eval.HoldsLarge(env) {
		return m.compute(e.At, e.Code, env, false)
	}
	v, err := p.Eval(env)
	if err != nil {
		return nil, valueError(e.At, err.Error())
	}
	return v, nil
}

// name finds what an expression calls name: a value of a block, a name without a slot, a secret, the run.
func (m *Machine) name(f *frame, e *plan.Expr, name string, extra map[string]any) (any, bool) {
	for i := range e.Refs {
		if e.Refs[i].Name == name {
			return f.lookup(e.Refs[i]), true
		}
	}
	if v, ok := extra[name]; ok {
		return v, true
	}
	for _, s := range m.p.Secrets {
		if s == name {
			return types.Secret{Name: s}, true
		}
	}
	if name == "run" {
		return m.run(), true
	}
	return nil, false
}

// run is what a script can know of its run.
func (m *Machine) run() map[string]any {
	return map[string]any{"id": string(m.id), "started": m.began.Format(time.RFC3339)}
}

func (f *frame) lookup(r plan.Ref) any {
	g := f.up(r.Depth)
	if r.Slot < len(g.nodes) {
		return g.nodes[r.Slot].value
	}
	if i := r.Slot - len(g.nodes); i < len(g.binds) {
		return g.binds[i]
	}
	return nil
}

func valueError(at source.Pos, message string) *run.Error {
	return &run.Error{Code: "E_VALUE", Kind: "value", Message: message, File: at.File, Line: at.Line, Column: at.Column}
}

// within says in which step an expression failed.
func (m *Machine) within(n *node, err *run.Error) *run.Error {
	if err.Path == "" && err != errLater {
		err.Path = m.path(n)
	}
	return err
}

func (m *Machine) condition(f *frame, e *plan.Expr) (bool, *run.Error) {
	v, err := m.eval(f, e, nil)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, valueError(e.At, "a condition must be true or false, this is "+brief(v))
	}
	return b, nil
}

// message renders a text for people.
func (m *Machine) message(f *frame, t *plan.Text, extra map[string]any) (string, *run.Error) {
	if t == nil {
		return "", nil
	}
	v, err := m.text(f, t, extra)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case types.Parts:
		var b strings.Builder
		for _, p := range v {
			switch p := p.(type) {
			case string:
				b.WriteString(p)
			case types.Large:
				b.WriteString("‹" + brief(p) + "›")
			default:
				return "", valueError(t.At, "a secret cannot stand in a message")
			}
		}
		return b.String(), nil
	}
	return "", valueError(t.At, "this is no text")
}

// text renders a text: a string, or types.Parts when a secret or something large stands in it.
func (m *Machine) text(f *frame, t *plan.Text, extra map[string]any) (any, *run.Error) {
	v, _, err := m.textWith(f, t, extra, 0)
	return v, err
}

// textWith is text, and how many bytes the first parts of it have as they are sent.
func (m *Machine) textWith(f *frame, t *plan.Text, extra map[string]any, first int) (v any, bytes int, problem *run.Error) {
	if len(t.Parts) == 1 && t.Parts[0].Expr == nil {
		if first > 0 {
			bytes = len(t.Parts[0].Literal)
		}
		return t.Parts[0].Literal, bytes, nil
	}
	var room [512]byte // most texts are short: they cost one allocation, for the string
	text := room[:0]
	var list []any // of what comes once something stands there that is no plain text
	for i := range t.Parts {
		if i == first && i > 0 {
			bytes = sent(text, list)
		}
		p := &t.Parts[i]
		if p.Expr == nil {
			if list != nil {
				list = append(list, p.Literal)
			} else {
				text = append(text, p.Literal...)
			}
			continue
		}
		value, err := m.eval(f, p.Expr, extra)
		if err != nil {
			return nil, 0, err
		}
		if list == nil {
			var plain bool
			if text, plain = eval.AppendPlain(text, value); plain {
				continue
			}
		}
		if value, err = m.shown(p.Expr, value); err != nil {
			return nil, 0, err
		}
		s, plain := value.(string)
		switch {
		case list != nil:
			list = append(list, value)
		case plain:
			text = append(text, s...)
		default:
			list = []any{string(text), value}
		}
	}
	if first == len(t.Parts) {
		bytes = sent(text, list)
	}
	if list == nil {
		return string(text), bytes, nil
	}
	v = eval.RenderParts(list)
	if err, ok := v.(error); ok {
		return nil, 0, valueError(t.At, err.Error())
	}
	return v, bytes, nil
}

// shown is a value as it stands in a text: a string, or what is put in at the edge.
func (m *Machine) shown(e *plan.Expr, v any) (any, *run.Error) {
	switch v.(type) {
	case string, types.Secret, types.Parts, types.Large:
		return v, nil
	}
	if m.large && eval.HoldsLarge(v) {
		return m.compute(e.At, "value", map[string]any{"value": v}, true)
	}
	s, err := eval.Render(v)
	if err != nil {
		return nil, valueError(e.At, err.Error())
	}
	return s, nil
}

// words renders the words of a command. A value cannot become an option: a word that a value begins may start with `-` only behind a literal `--`.
func (m *Machine) words(f *frame, words []plan.Text) (any, *run.Error) {
	out := make([]string, len(words))
	literal := false // a `--` stood before
	for i := range words {
		w := &words[i]
		v, err := m.text(f, w, nil)
		if err != nil {
			return nil, err
		}
		s, ok := v.(string)
		if !ok {
			return nil, valueError(w.At, "neither a secret nor a large text can stand in a command: pass it in `env` or `stdin`")
		}
		if len(w.Parts) > 0 && w.Parts[0].Expr != nil && strings.HasPrefix(s, "-") && !literal {
			return nil, valueError(w.Parts[0].Expr.At, "the value "+brief(s)+" would be read as an option: put `--` before it in the command if it is meant as a plain argument")
		}
		if len(w.Parts) == 1 && w.Parts[0].Expr == nil && s == "--" {
			literal = true
		}
		out[i] = s
	}
	return out, nil
}

// url renders an address. A value is percent-encoded where it stands, and it cannot stand in the scheme, the host or the port.
func (m *Machine) url(f *frame, t *plan.Text) (any, *run.Error) {
	var b strings.Builder
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Expr == nil {
			b.WriteString(p.Literal)
			continue
		}
		v, err := m.eval(f, p.Expr, nil)
		if err != nil {
			return nil, err
		}
		if _, large := v.(types.Large); large || m.large && eval.HoldsLarge(v) {
			return nil, valueError(p.Expr.At, brief(v)+" is too large for an address")
		}
		s, bad := eval.Render(v)
		if bad != nil {
			return nil, valueError(p.Expr.At, bad.Error())
		}
		if !behindHost(b.String()) {
			return nil, valueError(p.Expr.At, "the host of an address cannot come from a value in its text: pass the whole address as an argument, `url: x`")
		}
		escapeInto(&b, s)
	}
	return b.String(), nil
}

// behindHost reports whether what comes next in an address that begins so can no longer change the host.
func behindHost(s string) bool {
	_, rest, ok := strings.Cut(s, "://")
	return ok && strings.ContainsAny(rest, "/?#")
}

// escapeInto keeps the unreserved characters of RFC 3986 and encodes all others; `.` and `..` are encoded too, so that no value climbs up a path.
func escapeInto(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	if s == "." || s == ".." {
		b.WriteString(strings.Repeat("%2E", len(s)))
		return
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
}

// brief names a value in a message.
func brief(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case map[string]any:
		return "a record"
	case types.FileValue:
		return "the file " + v.Name
	case types.Secret, types.Parts:
		return "a secret"
	case types.Large:
		return fmt.Sprintf("a text of %d KiB", v.Size>>10)
	}
	raw, err := run.EncodeValue(v)
	if err != nil {
		return "a value"
	}
	s := string(raw)
	if len(s) > 60 {
		cut := 60
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}
