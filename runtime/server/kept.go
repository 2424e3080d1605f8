package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/slopstudios/slop/runtime/edition"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

// The bounds of what names and describes a template or a flow.
const (
	maxName        = 200 // letters
	maxDescription = 1000
	maxSaves       = 20 // how often a change is tried that says of no version that it must be the newest
)

// kept are the templates, or the flows, of tenants as requests name them.
type kept[About, Text any] struct {
	shelf edition.Shelf[About, Text]
	what  string // a template, a flow
}

type thing[About, Text any] = edition.Thing[About, Text]

// reference takes "greeting@3" apart; version 0: none is named.
func reference(ref string) (name string, version int, err error) {
	name, number, found := cutLast(ref, "@")
	if !found {
		return ref, 0, nil
	}
	if version, err = strconv.Atoi(number); err != nil || version < 1 || strconv.Itoa(version) != number {
		return "", 0, fmt.Errorf("%q: behind @ stands the number of a version, from 1", ref)
	}
	return name, version, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// newest gives a thing with its newest edition.
func (k *kept[About, Text]) newest(ctx context.Context, name string) (*thing[About, Text], error) {
	t, err := k.shelf.Get(ctx, auth.From(ctx).Tenant, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, missing(k.what, name)
	}
	return t, storedThing(err)
}

// edition puts another edition of a thing in the place of the newest.
func (k *kept[About, Text]) edition(ctx context.Context, t *thing[About, Text], number int) (*thing[About, Text], error) {
	e, err := k.shelf.At(ctx, auth.From(ctx).Tenant, t, number)
	if errors.Is(err, store.ErrNotFound) {
		return nil, missing(k.what, fmt.Sprintf("%s@%d", t.Name, number))
	}
	if err != nil {
		return nil, storedThing(err)
	}
	old := *t
	old.Edition = *e
	return &old, nil
}

// find gives what a reference names, with the edition that it names.
func (k *kept[About, Text]) find(ctx context.Context, ref string) (*thing[About, Text], error) {
	name, version, err := reference(ref)
	if err != nil {
		return nil, problem("E_INVALID", err.Error())
	}
	t, err := k.newest(ctx, name)
	if err != nil || version == 0 {
		return t, err
	}
	return k.edition(ctx, t, version)
}

func storedThing(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, edition.ErrFull):
		return problem("E_FULL", "delete what nobody needs any more")
	case errors.Is(err, store.ErrCorrupt):
		return err
	}
	return stored(err)
}

// create makes a thing, once for all requests with the same Idempotency-Key.
func (k *kept[About, Text]) create(s *Server, w http.ResponseWriter, r *http.Request, name string, same []byte, about About, text Text) (*thing[About, Text], error) {
	ctx := r.Context()
	caller := auth.From(ctx)
	life := ""
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		id, err := s.once(ctx, "create "+k.what, key, same)
		if err != nil {
			return nil, err
		}
		life = string(id)
	}
	t, err := k.shelf.Create(ctx, caller.Tenant, name, life, caller.Name, about, text)
	if !errors.Is(err, store.ErrExists) {
		return t, storedThing(err)
	}
	if life != "" {
		if t, err := k.newest(ctx, name); err == nil && t.Life == life {
			w.Header().Set("Idempotency-Replayed", "true")
			return t, nil
		}
	}
	return nil, problem("E_EXISTS", fmt.Sprintf("there is a %s %q; change it with PUT", k.what, name), Fault{"/name", "this name is taken"})
}

// update changes a thing. change says what is to be stored: a new text, or nil for what is said of it alone. It is asked again when another changed the thing
// meanwhile, unless the request says what must be the newest.
func (k *kept[About, Text]) update(r *http.Request, change func(t *thing[About, Text]) (text *Text, note string, err error)) (*thing[About, Text], error) {
	ctx := r.Context()
	caller := auth.From(ctx)
	name := part(r, "id")
	if _, version, err := reference(name); err != nil || version > 0 {
		return nil, problem("E_INVALID", "a version stays as it is; name the "+k.what+" without one")
	}
	for range maxSaves {
		t, err := k.newest(ctx, name)
		if err != nil {
			return nil, err
		}
		if err := matches(r, t.Tag()); err != nil {
			return nil, err
		}
		text, note, err := change(t)
		if err != nil {
			return nil, err
		}
		if text == nil {
			err = k.shelf.Save(ctx, caller.Tenant, t, caller.Name)
		} else {
			err = k.shelf.SaveText(ctx, caller.Tenant, t, *text, caller.Name, note)
		}
		if !errors.Is(err, store.ErrConflict) {
			return t, storedThing(err)
		}
	}
	return nil, store.ErrConflict
}

// matches holds a request to what it says must be the newest.
func matches(r *http.Request, tag string) error {
	want := r.Header.Get("If-Match")
	if want == "" {
		return nil
	}
	for one := range strings.SplitSeq(want, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == `"`+tag+`"` {
			return nil
		}
	}
	return problem("E_PRECONDITION", "it was changed since you read it; read it again, and see what your change means now")
}

// remove deletes a thing.
func (k *kept[About, Text]) remove(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	name := part(r, "id")
	if _, version, err := reference(name); err != nil || version > 0 {
		return problem("E_INVALID", "a version cannot go alone; name the "+k.what+" without one")
	}
	for range maxSaves {
		t, err := k.newest(ctx, name)
		if err != nil {
			return err
		}
		if err := matches(r, t.Tag()); err != nil {
			return err
		}
		err = k.shelf.Drop(ctx, auth.From(ctx).Tenant, t)
		if err == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return storedThing(err)
		}
	}
	return store.ErrConflict
}

// Version is an edition in a list.
type Version struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Note    string    `json:"note,omitempty"`
}

// versions lists the editions of a thing, the newest first.
func (k *kept[About, Text]) versions(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "limit", "cursor")
	limit, before := q.number("limit", store.DefaultLimit, 1, 200), q.number("cursor", 0, 2, edition.MaxEditions+1)
	if q.err != nil {
		return q.err
	}
	t, err := k.newest(r.Context(), part(r, "id"))
	if err != nil {
		return err
	}
	if before == 0 || before > t.Number {
		before = t.Number + 1
	}
	var list []Version
	next := ""
	for n := before - 1; n > 0; n-- {
		if len(list) == limit {
			next = strconv.Itoa(n + 1)
			break
		}
		old, err := k.edition(r.Context(), t, n)
		if err != nil {
			return err
		}
		list = append(list, Version{n, old.At, old.Author, old.Note})
	}
	return send(w, http.StatusOK, pageOf(list, next))
}

// numbered gives the edition that stands in the path of a request.
func (k *kept[About, Text]) numbered(r *http.Request) (*thing[About, Text], error) {
	n, err := strconv.Atoi(part(r, "version"))
	if err != nil {
		return nil, missing("version", part(r, "version"))
	}
	t, err := k.newest(r.Context(), part(r, "id"))
	if err != nil {
		return nil, err
	}
	return k.edition(r.Context(), t, n)
}

// pair gives the two editions that a request compares: from is the one before to, and to the newest, unless it says otherwise.
func (k *kept[About, Text]) pair(r *http.Request) (from, to *thing[About, Text], err error) {
	q := query(r, "from", "to")
	t, err := k.newest(r.Context(), part(r, "id"))
	if err != nil {
		return nil, nil, err
	}
	b := q.number("to", t.Number, 1, edition.MaxEditions)
	a := q.number("from", max(b-1, 1), 1, edition.MaxEditions)
	if q.err != nil {
		return nil, nil, q.err
	}
	if from, err = k.edition(r.Context(), t, a); err != nil {
		return nil, nil, err
	}
	to, err = k.edition(r.Context(), t, b)
	return from, to, err
}

// unified is the difference of two texts as programs for patches read it.
func unified(nameA, a, nameB, b string) string {
	line := func(s string) []byte {
		if s != "" && !strings.HasSuffix(s, "\n") {
			s += "\n"
		}
		return []byte(s)
	}
	text := string(diff.Diff(nameA, line(a), nameB, line(b)))
	_, text, _ = strings.Cut(text, "\n") // the command that would show it
	return text
}

// tagged notes the tag of a thing, and reports whether the client has it already.
func tagged(w http.ResponseWriter, r *http.Request, tag string) bool {
	tag = `"` + tag + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	return r.Method == http.MethodGet && r.Header.Get("If-None-Match") == tag
}

// nameFault says what is wrong with the name of something that is kept.
func nameFault(name string, allowed func(rune) bool) string {
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxName:
		return fmt.Sprintf("a name of 1 to %d letters", maxName)
	case !utf8.ValidString(name), strings.IndexFunc(name, func(c rune) bool { return !allowed(c) }) >= 0, strings.TrimSpace(name) != name:
		return "a name without @, and without characters that cannot be seen"
	}
	return ""
}

// titled are the characters of a name that people give.
func titled(c rune) bool { return c != '@' && unicode.IsPrint(c) }

func aboutFaults(description string, tags []string) []Fault {
	var faults []Fault
	if len(description) > maxDescription {
		faults = append(faults, Fault{"/description", fmt.Sprintf("at most %d bytes", maxDescription)})
	}
	if len(tags) > maxTags || slices.ContainsFunc(tags, func(t string) bool { return t == "" || len(t) > maxTag }) {
		faults = append(faults, Fault{"/tags", fmt.Sprintf("at most %d, of 1 to %d bytes", maxTags, maxTag)})
	}
	return faults
}

// holds reports whether one of some texts holds a word, whatever its case.
func holds(word string, texts ...string) bool {
	word = strings.ToLower(word)
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), word) })
}
