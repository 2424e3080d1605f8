package jsonflow

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// reader collects what is to be said of a definition.
type reader struct {
	src   *source.File
	scope types.Scope
	diags diag.List
}

// wrong reports a mistake at a value. What it returns may be added to until the next one is reported.
func (r *reader) wrong(code diag.Code, v *value, format string, args ...any) *diag.Diagnostic {
	return r.say(diag.Error, code, v, format, args...)
}

// odd reports what does not stop the definition from running, and that its author should know.
func (r *reader) odd(code diag.Code, v *value, format string, args ...any) *diag.Diagnostic {
	return r.say(diag.Warning, code, v, format, args...)
}

func (r *reader) say(severity diag.Severity, code diag.Code, v *value, format string, args ...any) *diag.Diagnostic {
	r.diags.Add(diag.Diagnostic{Code: code, Severity: severity, File: r.src, Span: v.at, Pointer: v.pointer, Message: fmt.Sprintf(format, args...)})
	return &r.diags[len(r.diags)-1]
}

// quoted is a text of the author in a message: on one line, and not without end.
func quoted(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:57], "") + "…"
	}
	return "`" + strings.Join(strings.Fields(s), " ") + "`"
}

// record is an object that is being read. What nobody asks for is reported, so that nothing is silently ignored.
type record struct {
	r     *reader
	v     *value
	known []string
}

// object reads v as an object; nil, with a message, when it is none.
func (r *reader) object(v *value, what string) *record {
	if v == nil || v.kind != object {
		if v != nil {
			r.wrong("E0202", v, "%s is an object, not %s", what, v.kind)
		}
		return nil
	}
	return &record{r: r, v: v}
}

// get finds a field by any of its names.
func (o *record) get(names ...string) *value {
	o.known = append(o.known, names...)
	var found *value
	first := ""
	for _, n := range names {
		v := o.v.get(n)
		switch {
		case v == nil:
		case found == nil:
			found, first = v, n
		default:
			o.r.wrong("E0202", v, "%s and %s say the same thing twice: leave one", quoted(first), quoted(n))
		}
	}
	return found
}

// of is get for a value of one kind.
func (o *record) of(k kind, names ...string) *value {
	v := o.get(names...)
	if v == nil || v.kind == k {
		return v
	}
	o.r.wrong("E0202", v, "%s is %s, not %s", quoted(last(v.pointer)), k, v.kind)
	return nil
}

func (o *record) text(names ...string) (string, *value) {
	v := o.of(text, names...)
	if v == nil {
		return "", nil
	}
	return v.text, v
}

func (o *record) flag(names ...string) bool {
	v := o.of(boolean, names...)
	return v != nil && v.text == "true"
}

// whole reads a whole number within bounds.
func (o *record) whole(least, most int, names ...string) (int, *value) {
	v := o.of(number, names...)
	if v == nil {
		return 0, nil
	}
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || f != math.Trunc(f) || f < float64(least) || f > float64(most) {
		o.r.wrong("E0202", v, "%s is a whole number from %d to %d, not %s", quoted(last(v.pointer)), least, most, v.text)
		return 0, nil
	}
	return int(f), v
}

// part reads a number within bounds.
func (o *record) part(least, most float64, names ...string) *value {
	v := o.of(number, names...)
	if v == nil {
		return nil
	}
	if f, err := strconv.ParseFloat(v.text, 64); err != nil || f < least || f > most {
		o.r.wrong("E0202", v, "%s is a number from %v to %v, not %s", quoted(last(v.pointer)), least, most, v.text)
		return nil
	}
	return v
}

// longest is the longest time that a script can name.
const longest = 366 * 24 * time.Hour

// duration reads milliseconds.
func (o *record) duration(names ...string) (time.Duration, *value) {
	n, v := o.whole(1, int(longest/time.Millisecond), names...)
	return time.Duration(n) * time.Millisecond, v
}

// none reports fields that say something which has no meaning here, and why.
func (o *record) none(why string, names ...string) {
	for _, n := range names {
		if v := o.get(n); v != nil {
			o.r.odd("E0203", v, "%s has no meaning here", quoted(n)).Label = why
		}
	}
}

// end reports every field that nobody knows.
func (o *record) end(what string) {
	for _, f := range o.v.fields {
		if f.value.kind == nothing || slices.Contains(o.known, f.name) {
			continue
		}
		d := o.r.odd("E0203", &value{pointer: f.value.pointer, at: f.at}, "%s has no field %s: it is left out", what, quoted(f.name))
		if near, ok := diag.Nearest(f.name, o.known); ok {
			d.Label = fmt.Sprintf("did you mean `%s`?", near)
		}
	}
}

// last is the last part of a pointer.
func last(pointer string) string {
	name := pointer[strings.LastIndexByte(pointer, '/')+1:]
	return cmp.Or(strings.NewReplacer("~1", "/", "~0", "~").Replace(name), "the definition")
}

// written is a duration as a script has it.
func written(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d%unit.size == 0 {
			return strconv.FormatInt(int64(d/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms"
}
