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

// Bounds of one reading of code and one question. A step takes about a microsecond, and a cycle of dense music some thousand of them.
const (
	maxCalls      = 100_000
	maxCycleSteps = 200_000    // of one cycle
	maxSteps      = 10_000_000 // of all cycles that are asked for
	maxBeginnings = 100_000    // in all of them
	checkCycles   = 8
	checkQuery    = 300_000
	maxProblems   = 20
	maxProbes     = 200 // of the calls that could be to blame
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
	haps, _, err := s.query(ctx, pattern.Time{}, pattern.Cycles(checkCycles), checkQuery)
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

// Beginnings gives what begins in so many cycles from the start, in order of time, the longer first. It asks for one cycle after the other: what plays too
// much is told after the first that does, and not after it has filled the memory. When ctx ends, so does it, within some thousand steps.
func (s *Song) Beginnings(ctx context.Context, cycles int64) ([]pattern.Event, error) {
	var all []pattern.Event
	left := maxSteps
	for c := range cycles {
		haps, steps, err := s.query(ctx, pattern.Cycles(c), pattern.Cycles(c+1), min(left, maxCycleSteps))
		switch {
		case errors.Is(err, pattern.ErrMany) && left < maxCycleSteps:
			return nil, tooMany("the first %d cycles of this pattern make too many events, or take too many steps to find them: speed up or repeat less, or ask for fewer", c+1)
		case errors.Is(err, pattern.ErrMany):
			return nil, tooMany("cycle %d of this pattern makes too many events, or takes too many steps to find them: speed up or repeat less", c+1)
		case err != nil:
			return nil, s.placed(ctx, err)
		}
		left -= steps
		before := len(all)
		for _, h := range haps {
			if !h.Continuous && h.Whole.Begin == h.Part.Begin {
				all = append(all, event(h))
			}
		}
		if len(all) > maxBeginnings {
			return nil, tooMany("more than %d events by cycle %d of this pattern are too many: speed up or repeat less, or ask for fewer cycles", maxBeginnings, c+1)
		}
		slices.SortStableFunc(all[before:], func(a, b pattern.Event) int {
			return cmp.Or(a.Whole.Begin.Cmp(b.Whole.Begin), -a.Whole.End.Cmp(b.Whole.End))
		})
	}
	return all, nil
}

// excess is pattern.ErrMany in words that know how far the question came.
type excess struct{ message string }

func tooMany(format string, args ...any) error { return excess{fmt.Sprintf(format, args...)} }

func (e excess) Error() string { return e.message }
func (excess) Unwrap() error   { return pattern.ErrMany }

func event(h pattern.Hap) pattern.Event {
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
	return e
}

// placed is the failure of a question with the place in the code that it comes from.
func (s *Song) placed(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, pattern.ErrMany) {
		return err
	}
	r := &reader{code: s.code}
	r.mistake(err, s.blame(ctx))
	return errors.New(r.problems[0].String())
}

// query asks the pattern, and looks whether what it says can be played.
func (s *Song) query(ctx context.Context, begin, end pattern.Time, limit int) (haps []pattern.Hap, steps int, err error) {
	if haps, steps, err = s.pattern.Query(ctx, begin, end, limit); err != nil {
		return nil, steps, err
	}
	for _, h := range haps {
		if err := plain(h.Value); err != nil {
			return nil, steps, err
		}
	}
	return haps, steps, nil
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
		haps, _, err := p.Query(ctx, pattern.Time{}, pattern.Cycles(checkCycles), checkQuery/16)
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
