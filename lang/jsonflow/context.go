package jsonflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

// The reference keeps one mutable context that steps read and write. Here nothing is mutable, so two steps at once cannot lose what the other wrote: for each
// reader it is known, when the definition is read, which value stands under a path by then. A tree is the context as one step sees it.
type tree struct {
	base *expr // the value as a whole; kids stand before its fields
	kids map[string]*tree
	keys []string // in the order in which they came

	scalar bool // the base is known to have no fields
}

func (t *tree) kid(name string) *tree {
	if k := t.kids[name]; k != nil {
		return k
	}
	if t.kids == nil {
		t.kids = map[string]*tree{}
	}
	k := &tree{}
	t.kids[name] = k
	t.keys = append(t.keys, name)
	return k
}

func (t *tree) write(path []seg, e expr) {
	for _, s := range path {
		if t.base != nil && (t.scalar || t.base.typ.Kind != types.Any && t.base.typ.Kind != types.Record) {
			t.base = nil // a text has no fields: it makes way, as in the reference
		}
		t = t.kid(s.name)
	}
	t.base, t.kids, t.keys, t.scalar = &e, nil, nil, false
}

// look finds the value under a path. soft: a field that is not there is nothing.
func (t *tree) look(path []seg, soft bool) (expr, bool) {
	for i, s := range path {
		if k := t.kids[s.name]; !s.isIndex && k != nil {
			t = k
			continue
		}
		if t.base == nil {
			return expr{}, false
		}
		return access(*t.base, path[i:], soft), true
	}
	return t.whole()
}

func (t *tree) whole() (expr, bool) {
	if len(t.kids) == 0 {
		if t.base == nil {
			return expr{}, false
		}
		return *t.base, true
	}
	var fields, pairs, names []string
	for _, k := range t.keys {
		e, ok := t.kids[k].whole()
		if !ok {
			continue
		}
		fields = append(fields, fieldName(k)+": "+e.code)
		pairs = append(pairs, "["+literal(k)+", "+e.code+"]")
		names = append(names, literal(k))
	}
	if t.base == nil {
		return expr{"{" + strings.Join(fields, ", ") + "}", anyType}, true
	}
	return expr{fmt.Sprintf("fromPairs(concat(filter(toPairs(%s), not (#[0] in [%s])), [%s]))", t.base.code, strings.Join(names, ", "), strings.Join(pairs, ", ")), anyType}, true
}

// access reads fields and items of a value.
func access(e expr, path []seg, soft bool) expr {
	for _, s := range path {
		may := soft || e.typ.Optional
		next := anyType
		if e.typ.Kind == types.Record {
			for _, f := range e.typ.Fields {
				if f.Name == s.name {
					next = f.Type
				}
			}
		}
		switch {
		case s.isIndex && may:
			e.code = "(" + e.code + " ?? [])[" + strconv.Itoa(s.index) + "]"
		case s.isIndex:
			e.code += "[" + strconv.Itoa(s.index) + "]"
		case plainName(s.name) && may:
			e.code += "?." + s.name
		case plainName(s.name):
			e.code += "." + s.name
		case may:
			e.code += "?.[" + literal(s.name) + "]"
		default:
			e.code += "[" + literal(s.name) + "]"
		}
		next.Optional = next.Optional || may
		e.typ = next
	}
	return e
}

// input is a value of the context that comes from outside.
type input struct {
	root     string
	name     string
	typ      types.Type
	value    *value // what it is when nobody says otherwise
	given    bool   // the request says it, and not the definition
	optional bool   // a condition asks whether it is there
	deep     bool   // its fields are read
	let      bool   // too large for a default
}

// root is the input for a name at the root of the context, made when nobody has heard of it.
func (c *compiler) root(name string, at *value) *input {
	in := c.roots[name]
	if in == nil {
		in = &input{root: name, name: c.names.take(name, "value"), typ: anyType}
		c.roots[name] = in
		c.inputs = append(c.inputs, in)
		c.where[in.name] = at
	}
	return in
}

func (in *input) expr() expr {
	t := in.typ
	t.Optional = in.optional
	return expr{in.name, t}
}

// typeOf is the type of a value as it stands.
func typeOf(v *value) types.Type {
	switch v.kind {
	case text:
		return stringType
	case number:
		return floatType
	case boolean:
		return boolType
	}
	return anyType
}

// readContext reads the context that a definition, or a request, begins with.
func (c *compiler) readContext(v *value, given bool) {
	if v == nil {
		return
	}
	if len(v.fields) > maxRoots {
		c.wrong("E0202", v, "a context has at most %d values", maxRoots)
		return
	}
	for _, f := range v.fields {
		in := c.root(f.name, f.value)
		t := typeOf(f.value)
		if in.given && !given { // a request goes before the definition it holds
			if !types.Same(in.typ, t) {
				in.typ = anyType
			}
			continue
		}
		in.typ, in.value, in.given = t, f.value, given
		if f.value.kind == nothing {
			in.optional = true
		}
	}
}

// overlaps tells whether one path leads to a part of what the other leads to.
func overlaps(a, b []seg) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// seen is the context as a step sees it; that of nil is the context in the end.
func (c *compiler) seen(st *step) *tree {
	if st != nil && st.view != nil {
		return st.view
	}
	t := &tree{}
	for _, in := range c.inputs {
		if in.value != nil || st == nil {
			e := in.expr()
			k := t.kid(in.root)
			k.base, k.scalar = &e, in.value != nil && in.value.kind != object
		}
	}
	for _, w := range c.order {
		if st != nil && !c.before[st][w.number] {
			continue
		}
		for _, out := range w.outputs {
			e := c.answer(w, out.field, out.at, false)
			if e.typ.Optional {
				if old, ok := t.look(out.path, true); ok {
					e = expr{"(" + e.code + " ?? " + old.code + ")", old.typ}
				}
			}
			t.write(out.path, e)
		}
	}
	if st != nil {
		st.view = t
	}
	return t
}

// alone reports steps that write the same path at the same time.
func (c *compiler) alone() {
	type mark struct {
		st  *step
		out write
	}
	var all []mark
	for _, st := range c.order {
		for _, out := range st.outputs {
			for _, old := range all {
				either := st.cond != nil && old.st.cond != nil // they are branches: one of them runs
				if overlaps(old.out.path, out.path) && old.st != st && !c.before[st][old.st.number] && !either {
					c.odd("E0210", out.at, "%s and %s write %s at the same time: what %s writes counts", quoted(old.st.id), quoted(st.id), quoted(join(out.path)), quoted(st.id))
					break
				}
			}
			all = append(all, mark{st, out})
		}
	}
}

// waitForWriters makes a step wait for those that write what it reads.
func (c *compiler) waitForWriters() {
	for _, st := range c.steps {
		done := map[string]bool{}
		for _, path := range st.reads {
			if done[join(path)] {
				continue
			}
			done[join(path)] = true
			for _, w := range slices.Backward(c.steps[:st.number]) { // those further down have not written yet
				if c.before[st][w.number] || c.before[w][st.number] {
					continue
				}
				if slices.ContainsFunc(w.outputs, func(o write) bool { return overlaps(o.path, path) }) {
					c.odd("E0210", st.at, "%s reads %s, which %s writes, so it waits for it", quoted(st.id), quoted(join(path)), quoted(w.id)).Label = "say so in `dependencies`"
					st.after = append(st.after, w)
					c.waits(st, w)
				}
			}
		}
	}
}

// waits notes that st, and whoever waits for it, comes after w.
func (c *compiler) waits(st, w *step) {
	for _, s := range c.steps {
		if s != st && !c.before[s][st.number] {
			continue
		}
		c.before[s][w.number] = true
		for n, is := range c.before[w] {
			if is {
				c.before[s][n] = true
			}
		}
	}
}
