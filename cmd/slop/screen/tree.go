package screen

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// Tree draws the steps as a tree and draws it anew as they move. A goroutine of its own turns the spinners until Close.
type Tree struct {
	mu    sync.Mutex
	w     io.Writer
	style Style
	size  func() (width, height int)
	board board
	drawn int // lines on the screen that the next frame replaces
	held  bool
	frame int
	stop  chan struct{}
	done  chan struct{}
}

// NewTree draws on the terminal w. first names the steps to show before anything has begun; agent names the agent of a path.
func NewTree(w io.Writer, style Style, size func() (width, height int), first []string, agent func(run.Path) string) *Tree {
	t := &Tree{
		w: w, style: style, size: size, board: board{agent: agent, now: time.Now},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	for _, name := range first {
		t.board.row(run.Path(name))
	}
	go t.spin()
	return t
}

// frameTime is how often the tree is drawn: often enough for a spinner, seldom enough for a slow line.
const frameTime = 100 * time.Millisecond

func (t *Tree) spin() {
	defer close(t.done)
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			t.mu.Lock()
			t.frame++
			if !t.held {
				t.draw(false)
			}
			t.mu.Unlock()
		}
	}
}

// Event moves the tree on; the next frame shows it.
func (t *Tree) Event(e runs.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case e.Fact != nil:
		t.board.fact(*e.Fact)
	case e.Progress != nil:
		t.board.progress(e.Progress)
	}
}

// Note moves the tree on too.
func (t *Tree) Note(n *run.Note, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.board.note(n, at)
}

// Hold clears the tree away until GoOn.
func (t *Tree) Hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = true
	t.clear()
}

// GoOn draws again, below what was written meanwhile.
func (t *Tree) GoOn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = false
	t.draw(false)
}

// Close draws the last frame and leaves it.
func (t *Tree) Close() {
	close(t.stop)
	<-t.done
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draw(true)
	t.drawn = 0
}

func (t *Tree) clear() {
	if t.drawn > 0 {
		fmt.Fprintf(t.w, "\x1b[%dA\r\x1b[J\x1b[?25h", t.drawn)
		t.drawn = 0
	}
}

// draw replaces the frame on the screen. The last frame may be longer than the screen.
func (t *Tree) draw(last bool) {
	width, height := t.size()
	var lines []string
	t.rows(&t.board.root, 0, width-1, last, &lines)
	if limit := max(3, height-2); !last && len(lines) > limit {
		lines = t.busiest(width-1, limit)
	}
	var b strings.Builder
	if last {
		b.WriteString("\x1b[?25h")
	} else {
		b.WriteString("\x1b[?25l")
	}
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.drawn)
	}
	for _, l := range lines {
		b.WriteString("\r\x1b[K" + l + "\n")
	}
	if t.drawn > len(lines) {
		b.WriteString("\x1b[J")
	}
	_, _ = io.WriteString(t.w, b.String())
	t.drawn = len(lines)
}

// many is how many members of a list are shown one by one; of more, only those that are under way or failed.
const many = 8

func (t *Tree) rows(r *row, depth, width int, last bool, out *[]string) {
	hidden := 0
	for _, c := range r.children {
		if len(r.children) > many && !c.busy() && !c.troubled() {
			hidden++
			continue
		}
		if last && len(*out) > 200 {
			hidden++
			continue
		}
		*out = append(*out, t.line(c, depth, width))
		t.rows(c, depth+1, width, last, out)
	}
	if hidden > 0 && hidden < len(r.children) && depth == 0 {
		*out = append(*out, t.style.Dim(fmt.Sprintf("%s  … %d more", strings.Repeat("  ", depth), hidden)))
	}
}

// busiest shows only what is under way, when the whole does not fit on the screen.
func (t *Tree) busiest(width, limit int) []string {
	var lines []string
	left := 0
	var walk func(r *row, depth int)
	walk = func(r *row, depth int) {
		for _, c := range r.children {
			if depth > 0 && !c.busy() {
				continue
			}
			if len(lines) >= limit-1 {
				left++
				continue
			}
			lines = append(lines, t.line(c, depth, width))
			walk(c, depth+1)
		}
	}
	walk(&t.board.root, 0)
	if left > 0 {
		lines = append(lines, t.style.Dim(fmt.Sprintf("  … and %d more", left)))
	}
	return lines
}

func (r *row) busy() bool {
	if r.waits() {
		return true
	}
	for _, c := range r.children {
		if c.busy() {
			return true
		}
	}
	return false
}

func (r *row) troubled() bool {
	if r.state == failed || r.state == replaced {
		return true
	}
	for _, c := range r.children {
		if c.troubled() {
			return true
		}
	}
	return false
}

// sum counts the calls below r.
func (r *row) sum() (done, all int, usage run.Usage, from, to time.Time) {
	usage, from, to = r.usage, r.started, r.ended
	if len(r.children) == 0 {
		all = 1
		if r.state == succeeded || r.state == replaced {
			done = 1
		}
		return done, all, usage, from, to
	}
	for _, c := range r.children {
		d, a, u, f, e := c.sum()
		done, all, usage = done+d, all+a, usage.Add(u)
		if from.IsZero() || (!f.IsZero() && f.Before(from)) {
			from = f
		}
		if e.After(to) {
			to = e
		}
	}
	return done, all, usage, from, to
}

// shown is the state of a row as its sign tells it: a container is as its members are.
func (r *row) shown() state {
	if r.busy() {
		return running
	}
	if r.state == replaced { // unless what stands in for it failed too
		for _, c := range r.children {
			if strings.HasPrefix(c.name, "else") && c.shown() == failed {
				return failed
			}
		}
		return replaced
	}
	if r.state == failed { // but something else may have stood in for it
		for _, c := range r.children {
			if strings.HasPrefix(c.name, "else") && c.shown() == succeeded {
				return succeeded
			}
		}
	}
	if r.state != pending || len(r.children) == 0 {
		return r.state
	}
	for _, c := range r.children {
		if s := c.shown(); s == succeeded || s == replaced {
			return succeeded
		}
	}
	return r.children[len(r.children)-1].shown()
}

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (t *Tree) line(r *row, depth, width int) string {
	sign, paint := "·", t.style.Dim
	switch s := r.shown(); {
	case r.state == asking:
		sign, paint = "?", t.style.Yellow
	case r.state == sleeping:
		sign, paint = "⏲", t.style.Cyan
	case s == replaced:
		sign, paint = "↪", t.style.Yellow
	case s == running || s == asking || s == retrying:
		sign, paint = spinner[t.frame%len(spinner)], t.style.Cyan
	case s == succeeded:
		sign, paint = "✓", t.style.Green
	case s == failed:
		sign, paint = "✗", t.style.Red
	case s == stopped:
		sign, paint = "–", t.style.Dim
	}
	var facts []string
	done, all, usage, from, to := r.sum()
	if len(r.children) > 0 && r.agent == "" {
		facts = append(facts, fmt.Sprintf("%d/%d", done, all))
	}
	if !from.IsZero() {
		end := to
		if r.busy() || to.IsZero() {
			end = t.board.now()
		}
		facts = append(facts, Took(end.Sub(from)))
	}
	if r.attempt > 1 {
		facts = append(facts, fmt.Sprintf("attempt %d", r.attempt))
	}
	if r.repair != "" {
		facts = append(facts, "repair "+r.repair)
	}
	if used := Used(usage); used != "" {
		facts = append(facts, used)
	}

	lead := strings.Repeat("  ", depth)
	name := OneLine(r.name, 40)
	head := runewidth.StringWidth(lead) + 2 + runewidth.StringWidth(name)
	line := lead + paint(sign) + " " + name
	add := func(text string, paint func(string) string) {
		if text = OneLine(text, width-head-2); text != "" {
			head += 2 + runewidth.StringWidth(text)
			line += "  " + paint(text)
		}
	}
	add(r.agent, t.style.Cyan)
	add(strings.Join(facts, ", "), t.style.Dim)
	switch {
	case r.state == running && len(r.tail) > 0:
		room := width - head - 2
		text := strings.Join(strings.Fields(Inert(string(r.tail))), " ")
		if w := runewidth.StringWidth(text); w > room && room > 1 {
			text = "…" + runewidth.TruncateLeft(text, w-room+1, "")
		}
		add(text, t.style.Dim)
	case r.shown() == failed:
		add(r.message, t.style.Red)
	case r.message != "":
		add(r.message, t.style.Dim)
	}
	return line
}
