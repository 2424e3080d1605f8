// Package song reads Strudel code into a pattern of sounds. Nothing of the code is run: what is known of each function comes from Strudel's documentation,
// and what is not known is a problem with its place.
package song

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/js"
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// Song is code that has been read.
type Song struct {
	// CPS is how many cycles a second it asks for.
	CPS float64

	pattern *pattern.Pattern
	code    string
	tree    []js.Statement
	sounds  []word // names of sounds and drum machines in the code
	loads   bool   // it loads samples of its own
}

// word is a name in the code that a list of names can be asked about.
type word struct {
	text   string
	offset int
	bank   bool
}

// Problem is something wrong with the code.
type Problem struct {
	Line, Column int // from 1, in characters; both 0 when the whole code is meant
	Message      string
	Suggestion   string // what to do; may be empty
}

// String is the problem in one line, for people and models.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	}
	b.WriteString(p.Message)
	if p.Suggestion != "" {
		b.WriteString(" (" + p.Suggestion + ")")
	}
	return b.String()
}

// Steps that one reading of code and one question may take. A dense minute of music needs a hundredth of the second.
const (
	maxCalls    = 100_000
	maxQuery    = 1_000_000 // of a block
	maxEvents   = 200_000
	checkCycles = 8
	checkQuery  = 300_000
	maxCycles   = 4_096
	maxProblems = 20
	block       = 16  // cycles asked for at once
	maxProbes   = 200 // of the calls that could be to blame
)

// Read reads code. A song comes back only when there is no problem; the sounds it names are not looked at (Check does that).
func Read(code string) (*Song, []Problem) {
	r := &reader{code: code}
	if strings.HasPrefix(strings.TrimSpace(code), "```") {
		r.problem(strings.Index(code, "```"), "this is a fence of Markdown, not code", "take the lines with ``` away")
		return nil, r.problems
	}
	tree, errs := js.Parse(code)
	for _, e := range errs {
		r.problem(e.Offset, e.Message, e.Hint)
	}
	r.names(tree)
	if len(r.problems) > 0 {
		return nil, r.sorted()
	}
	s := &Song{code: code, tree: tree}
	e := newEvaluation(s)
	if err := e.run(tree); err != nil {
		r.mistake(err, e.at)
		return nil, r.sorted()
	}
	if s.pattern == nil {
		r.problems = append(r.problems, Problem{Message: "the code plays nothing: it has no pattern", Suggestion: `write one, as in s("bd sd") or $: note("c e g")`})
		return nil, r.problems
	}
	return s, nil
}

// Check reads code, looks at the names of its sounds, and listens to its first cycles. The song is nil when it would not play.
func Check(ctx context.Context, code string) (*Song, []Problem, error) {
	s, problems := Read(code)
	if s == nil {
		return nil, problems, nil
	}
	r := &reader{code: code}
	r.soundNames(s)
	haps, err := s.query(ctx, pattern.Time{}, pattern.Cycles(checkCycles), checkQuery)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if err != nil {
		at := -1
		if !errors.Is(err, pattern.ErrMany) {
			at = s.blame(ctx)
		}
		r.mistake(err, at)
	}
	r.silent(haps)
	return s, r.sorted(), nil
}

// Events gives what plays from begin to end, in order of time. An event that began before, or ends after, is in it with the part that is inside.
func (s *Song) Events(ctx context.Context, begin, end pattern.Time) ([]pattern.Event, error) {
	if end.Sub(begin).Cmp(pattern.Cycles(maxCycles)) > 0 {
		return nil, fmt.Errorf("%s cycles are too many at once: ask for at most %d", end.Sub(begin), maxCycles)
	}
	haps, err := s.blocks(ctx, begin, end)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, pattern.ErrMany) {
			r := &reader{code: s.code}
			r.mistake(err, s.blame(ctx))
			return nil, errors.New(r.problems[0].String())
		}
		return nil, err
	}
	events := make([]pattern.Event, len(haps))
	for i, h := range haps {
		e := pattern.Event{Part: h.Part}
		if !h.Continuous {
			whole := h.Whole
			e.Whole = &whole
		}
		if c, ok := h.Value.(pattern.Controls); ok {
			e.Value = c.Map()
		} else {
			e.Value = map[string]any{"value": h.Value}
		}
		events[i] = e
	}
	return events, nil
}

// blocks asks for some cycles after the other, so that a long question needs little memory.
func (s *Song) blocks(ctx context.Context, begin, end pattern.Time) ([]pattern.Hap, error) {
	var all []pattern.Hap
	for begin.Before(end) {
		next := pattern.Earlier(end, begin.Sam().Add(pattern.Cycles(block)))
		haps, err := s.query(ctx, begin, next, maxQuery)
		if err != nil {
			return nil, err
		}
		if all = append(all, haps...); len(all) > maxEvents {
			return nil, pattern.ErrMany
		}
		begin = next
	}
	return all, nil
}

// query asks the pattern, and sorts what it says: by time, the longer first, and then as the code has it.
func (s *Song) query(ctx context.Context, begin, end pattern.Time, limit int) ([]pattern.Hap, error) {
	haps, err := s.pattern.Query(ctx, begin, end, limit)
	if err != nil {
		return nil, err
	}
	for _, h := range haps {
		if err := plain(h.Value); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(haps, func(a, b pattern.Hap) int {
		return cmp.Or(a.Part.Begin.Cmp(b.Part.Begin), -a.Part.End.Cmp(b.Part.End))
	})
	return haps, nil
}

// silent looks for values that make no sound.
func (r *reader) silent(haps []pattern.Hap) {
	for _, h := range haps {
		v, extra := h.Value, false
		if c, ok := v.(pattern.Controls); ok {
			if v, extra = c.Get("value"); !extra {
				continue
			}
		}
		if extra {
			r.problem(-1, "the plain value "+pattern.Show(v)+" is not used by any sound", `name it, as in note("c e").s("piano")`)
		} else {
			r.problem(-1, "the plain value "+pattern.Show(v)+" makes no sound", `put the pattern behind note(…), n(…) or s(…)`)
		}
		return
	}
}

// plain tells whether a value can be played.
func plain(v any) error {
	switch v := v.(type) {
	case pattern.Controls:
		for _, c := range v {
			name := c.Name
			switch x := c.Value.(type) {
			case float64:
				if math.IsNaN(x) || math.IsInf(x, 0) {
					return &pattern.Mistake{Message: name + " is no number: is something divided by zero?"}
				}
			case *pattern.Pattern:
				return &pattern.Mistake{Message: name + " has a whole pattern as its value", Hint: "give the pattern itself, not a list of patterns"}
			}
		}
	case *pattern.Pattern:
		return &pattern.Mistake{Message: "a pattern of patterns cannot be played", Hint: "join it with innerJoin, pick or squeeze"}
	}
	return nil
}

// blame finds the call that a query fails at: the first whose own pattern fails.
func (s *Song) blame(ctx context.Context) int {
	e := newEvaluation(&Song{code: s.code})
	probes := 0
	e.probe = func(p *pattern.Pattern) bool {
		if probes++; probes > maxProbes || ctx.Err() != nil {
			return true
		}
		haps, err := p.Query(ctx, pattern.Time{}, pattern.Cycles(checkCycles), checkQuery/16)
		for i := 0; err == nil && i < len(haps); i++ {
			err = plain(haps[i].Value)
		}
		return err == nil || errors.Is(err, pattern.ErrMany)
	}
	if e.run(s.tree) != nil {
		return e.at
	}
	return -1
}

// reader collects problems.
type reader struct {
	code     string
	problems []Problem
}

func (r *reader) problem(offset int, message, hint string) {
	if len(r.problems) >= maxProblems {
		return
	}
	p := Problem{Message: message, Suggestion: hint}
	if offset >= 0 {
		offset = min(offset, len(r.code))
		before := r.code[:offset]
		p.Line = strings.Count(before, "\n") + 1
		p.Column = len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

func (r *reader) mistake(err error, at int) {
	var m *pattern.Mistake
	if errors.As(err, &m) {
		if offset, ok := m.At.(int); ok {
			at = offset
		}
		r.problem(at, m.Message, m.Hint)
		return
	}
	r.problem(at, err.Error(), "")
}

func (r *reader) sorted() []Problem {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return r.problems
}
