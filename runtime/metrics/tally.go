package metrics

import (
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

// Tally counts one run for a book. It belongs to whoever works on the run.
type Tally struct {
	book         *Book
	tenant, flow string
	began        time.Time
	steps        map[string]*Step      // by what stands in their path
	open         map[attempt]time.Time // calls under way
}

type attempt struct {
	path   run.Path
	number int
}

// Tally begins to count a run.
func (b *Book) Tally(tenant, flow string, began time.Time) *Tally {
	return &Tally{book: b, tenant: tenant, flow: flow, began: began, steps: map[string]*Step{}, open: map[attempt]time.Time{}}
}

// Begun counts the run itself, once it is stored.
func (t *Tally) Begun() {
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	t.book.page(t.tenant, t.began).counts.flow(t.flow).Begun++
}

// Waited counts how long the run was in line, when it first comes to work.
func (t *Tally) Waited(now time.Time) {
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	t.book.page(t.tenant, now).counts.flow(t.flow).Waited.add(now.Sub(t.began))
}

// Calls takes note of whom a call is for.
func (t *Tally) Calls(path run.Path, agent string) {
	var room [128]byte
	step := appendStep(room[:0], path)
	if s := t.steps[string(step)]; s == nil || s.Agent != agent {
		name := string(step)
		t.steps[name] = &Step{t.flow, name, agent}
	}
}

// step is whose call is at a path.
func (t *Tally) step(path run.Path) Step {
	var room [128]byte
	step := appendStep(room[:0], path)
	if s := t.steps[string(step)]; s != nil {
		return *s
	}
	return Step{Flow: t.flow, Step: string(step)}
}

// Stored counts facts that are stored now.
func (t *Tally) Stored(facts []run.Fact) {
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	for _, f := range facts {
		t.stored(f)
	}
}

func (t *Tally) stored(f run.Fact) {
	switch b := f.Body.(type) {
	case *run.CallStarted:
		t.open[attempt{b.Path, b.Attempt}] = f.At
	case *run.CallDone:
		if b.Source == run.Kept {
			return
		}
		c, agent := t.ended(f.At, b.Path, b.Attempt)
		if b.Source == "cache" {
			c.Cached++
			return
		}
		c.Succeeded++
		t.used(c, agent, b.Usage)
	case *run.CallFailed:
		if b.Source == run.Kept {
			return
		}
		c, agent := t.ended(f.At, b.Path, b.Attempt)
		if b.Outcome == run.Asks {
			c.Asked++
		} else {
			c.Failed++
		}
		t.used(c, agent, b.Usage)
	case *run.CallEnded:
		c, agent := t.ended(f.At, b.Path, b.Attempt)
		c.Cancelled++
		t.used(c, agent, b.Usage)
	case *run.Finished:
		r := t.book.page(t.tenant, f.At).counts.flow(t.flow)
		switch b.Status {
		case run.Succeeded:
			r.Succeeded++
		case run.Failed:
			r.Failed++
		case run.Cancelled:
			r.Cancelled++
		}
		r.Took.add(f.At.Sub(t.began))
		t.book.totals.finished(t.flow, b.Status)
	}
}

// ended counts the end of a call. How long one took whose begin nobody saw is not known.
func (t *Tally) ended(at time.Time, path run.Path, number int) (*callCounts, string) {
	step := t.step(path)
	c := t.book.page(t.tenant, at).counts.step(step)
	if number > 1 {
		c.Retries++
	} else if repaired(path) {
		c.Repairs++
	}
	key := attempt{path, number}
	if began, ok := t.open[key]; ok {
		delete(t.open, key)
		c.Took.add(at.Sub(began))
		t.book.totals.took(step.Agent, at.Sub(began))
	}
	return c, step.Agent
}

func (t *Tally) used(c *callCounts, agent string, u run.Usage) {
	c.use(u)
	if u.Tokens != "" || u.CostSource != "" {
		t.book.totals.used(agent, u)
	}
}

func repaired(path run.Path) bool {
	path, _ = path.Asker()
	return path.Step() != path
}

// appendStep appends the path of a step without what tells its items, rounds, groups, repairs and questions apart: `notes[3]/poem#2` is `notes/poem`.
func appendStep(b []byte, p run.Path) []byte {
	quoted := false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case quoted && c == '\\' && i+1 < len(p):
			b = append(b, c)
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[', c == '#', c == '^', c == '~', c == '?':
			for i+1 < len(p) && p[i+1] >= '0' && p[i+1] <= '9' {
				i++
			}
			if c == '[' && i+1 < len(p) && p[i+1] == ']' {
				i++
			}
			continue
		}
		b = append(b, p[i])
	}
	return b
}
