package screen_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

var begin = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// story is a run with a list, a retry, a fallback and a question.
func story() []runs.Event {
	var out []runs.Event
	seconds := 0
	fact := func(body run.Body) {
		seconds++
		out = append(out, runs.Event{Fact: &run.Fact{Seq: run.Seq(len(out) + 1), At: begin.Add(time.Duration(seconds) * time.Second), Body: body}})
	}
	fact(&run.CallStarted{Path: "notes[0]/reader", Attempt: 1})
	fact(&run.CallDone{Path: "notes[0]/reader", Attempt: 1, Value: "x", Usage: run.Usage{
		Calls: 1, Input: 1000, Output: 234, Tokens: run.Reported, Cost: 1500, CostSource: run.Estimated,
	}})
	fact(&run.CallStarted{Path: "quote", Attempt: 1})
	fact(&run.CallFailed{Path: "quote", Attempt: 1, Outcome: run.Unavailable, Message: "503\x1b]0;pwned\x07"})
	fact(&run.CallStarted{Path: "quote", Attempt: 2})
	fact(&run.CallFailed{Path: "quote", Attempt: 2, Outcome: run.Invalid, Problems: []string{"score: must be 1 to 10"}})
	fact(&run.CallStarted{Path: "quote~1", Attempt: 1})
	fact(&run.CallFailed{Path: "quote~1", Attempt: 1, Outcome: run.Timeout})
	fact(&run.CallStarted{Path: "quote/else", Attempt: 1})
	fact(&run.CallDone{Path: "quote/else", Attempt: 1})
	fact(&run.Asked{Path: "ok", Form: run.Form{Kind: "approve", Text: "Publish\nthis?"}})
	fact(&run.Answered{Path: "ok", Value: "yes"})
	fact(&run.CallStarted{Path: "late", Attempt: 1})
	fact(&run.CallEnded{Path: "late", Attempt: 1})
	fact(&run.Finished{Status: run.Succeeded})
	return out
}

func agentOf(p run.Path) string { return strings.SplitN(string(p), "[", 2)[0] + "er" }

func TestLines(t *testing.T) {
	var b bytes.Buffer
	l := screen.NewLines(&b, screen.Style{}, func(p run.Path) string { return "agent" })
	for _, e := range story() {
		l.Event(e)
	}
	l.Close()
	want := `[notes[0]/reader] agent started
[notes[0]/reader] agent done in 1.0s, 1,234 tokens, about $0.0015
[quote] agent started
[quote] agent failed: unavailable: 503␛]0;pwned␇
[quote] agent tries again (attempt 2)
[quote] agent failed (attempt 2): the answer does not fit: score: must be 1 to 10
[quote~1] agent is asked to repair its answer (1)
[quote~1] agent failed: timed out
[quote/else] agent started
[quote/else] agent done in 1.0s
[ok] agent asks: Publish this?
[ok] agent answered "yes"
[late] agent started
[late] agent: not needed any more
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// aside is what follows from facts and is said by none: a wait, a fallback, a loop, an item left out.
func aside(show func(runs.Event), note func(*run.Note, time.Time)) {
	at := begin
	fact := func(body run.Body) {
		at = at.Add(time.Second)
		show(runs.Event{Fact: &run.Fact{At: at, Body: body}})
	}
	why := &run.Error{Message: "the budget of 1 call is spent"}
	fact(&run.Started{})
	note(&run.Note{Kind: run.NoteWaits, Path: "pause", Agent: "wait", Until: at.Add(90 * time.Second)}, at)
	fact(&run.CallStarted{Path: "quote", Attempt: 1})
	fact(&run.CallFailed{Path: "quote", Attempt: 1, Outcome: run.Unavailable, Message: "503"})
	note(&run.Note{Kind: run.NoteRetry, Path: "quote", Agent: "agent", Attempt: 2, Until: at.Add(2 * time.Second)}, at)
	note(&run.Note{Kind: run.NoteFailed, Path: "poor", Agent: "agent", Error: why}, at)
	note(&run.Note{Kind: run.NoteElse, Path: "poor", Agent: "agent", Name: "poor/else", Error: why}, at)
	note(&run.Note{Kind: run.NoteLeftOut, Path: "notes[1]", Error: &run.Error{Message: "torn"}}, at)
	note(&run.Note{Kind: run.NoteRound, Path: "poem", Number: 1, Of: 5}, at)
	note(&run.Note{Kind: run.NoteStopped, Path: "poem", Number: 1}, at)
}

func TestLinesNotes(t *testing.T) {
	var b bytes.Buffer
	l := screen.NewLines(&b, screen.Style{}, func(run.Path) string { return "agent" })
	aside(l.Event, l.Note)
	l.Close()
	want := "[pause] wait 1m30s, until " + begin.Add(91*time.Second).Local().Format("15:04:05") + `
[quote] agent started
[quote] agent failed: unavailable: 503
[quote] agent is called again in 2.0s (attempt 2)
[poor] agent failed: the budget of 1 call is spent
[poor] agent goes on with poor/else: the budget of 1 call is spent
[notes[1]] is left out: torn
[poem] round 1 of at most 5
[poem] stops in round 1
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestTreeNotes(t *testing.T) {
	var b bytes.Buffer
	tree := screen.NewTree(&b, screen.Style{}, func() (int, int) { return 100, 24 }, []string{"pause", "quote", "poor"}, func(run.Path) string { return "agent" })
	aside(tree.Event, tree.Note)
	tree.Hold()
	b.Reset()
	tree.GoOn()
	for _, want := range []string{
		"⏲ pause  wait  ", "until " + begin.Add(91*time.Second).Local().Format("15:04:05"), "unavailable: 503, again in 2.0s",
		"↪ poor  agent  0.0s  else: the budget of 1 call is spent", "– [1]  0.0s  left out: torn", "✓ poem  0.0s  stops in round 1",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the tree does not show %q:\n%s", want, b.String())
		}
	}
	tree.Event(runs.Event{Fact: &run.Fact{At: begin.Add(time.Minute), Body: &run.Finished{Status: run.Cancelled}}})
	b.Reset()
	tree.Close()
	if got := lastFrame(b.String()); strings.Contains(got, "⏲") || !strings.Contains(got, "– pause") {
		t.Errorf("a wait goes on after the end of its run:\n%s", got)
	}
}

// While a question stands no line falls into it; afterwards they come in order.
func TestLinesHold(t *testing.T) {
	var b bytes.Buffer
	l := screen.NewLines(&b, screen.Style{}, agentOf)
	l.Hold()
	l.Event(story()[0])
	if b.Len() != 0 {
		t.Errorf("wrote %q while held", b.String())
	}
	l.GoOn()
	if !strings.Contains(b.String(), "started") {
		t.Error("what was held back is lost")
	}
}

// lastFrame plays what was written to a terminal and gives what stands on it.
func lastFrame(written string) string {
	var lines []string
	row, col := 0, 0
	put := func(r rune) {
		for len(lines) <= row {
			lines = append(lines, "")
		}
		runes := []rune(lines[row])
		for len(runes) <= col {
			runes = append(runes, ' ')
		}
		runes[col] = r
		lines[row] = string(runes)
		col++
	}
	for i := 0; i < len(written); {
		rest := written[i:]
		switch {
		case strings.HasPrefix(rest, "\x1b["):
			end := strings.IndexFunc(rest[2:], func(r rune) bool { return r >= '@' && r <= '~' }) + 2
			n := 0
			_, _ = fmt.Sscanf(rest[2:end], "%d", &n)
			switch rest[end] {
			case 'A':
				row = max(0, row-n)
			case 'K':
				if row < len(lines) {
					lines[row] = string([]rune(lines[row])[:min(col, len([]rune(lines[row])))])
				}
			case 'J':
				lines = lines[:min(row+1, len(lines))]
				if row < len(lines) {
					lines[row] = string([]rune(lines[row])[:min(col, len([]rune(lines[row])))])
				}
			}
			i += end + 1
		case rest[0] == '\n':
			row, col = row+1, 0
			i++
		case rest[0] == '\r':
			col = 0
			i++
		default:
			r := []rune(rest)[0]
			put(r)
			i += len(string(r))
		}
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestTree(t *testing.T) {
	var b bytes.Buffer
	tree := screen.NewTree(&b, screen.Style{}, func() (int, int) { return 100, 24 }, []string{"notes", "quote", "never"}, func(run.Path) string { return "agent" })
	for _, e := range story() {
		tree.Event(e)
	}
	tree.Close()
	want := `✓ notes  1/1, 1.0s, 1,234 tokens, about $0.0015
  ✓ [0]  1/1, 1.0s, 1,234 tokens, about $0.0015
    ✓ reader  agent  1.0s, 1,234 tokens, about $0.0015
✓ quote  agent  7.0s, repair 1  timed out
  ✓ else  agent  1.0s
· never
✓ ok  agent  1.0s
– late  agent  1.0s  not needed any more`
	if got := lastFrame(b.String()); got != want {
		t.Errorf("got:\n%s\n\nwant:\n%s", got, want)
	}
	if strings.Contains(b.String(), "\x1b]") {
		t.Error("a sequence of the world reached the terminal")
	}
}

// A big fan-out stays smaller than the screen.
func TestTreeFits(t *testing.T) {
	var b bytes.Buffer
	tree := screen.NewTree(&b, screen.Style{}, func() (int, int) { return 60, 12 }, nil, func(run.Path) string { return "agent" })
	for i := range 500 {
		tree.Event(runs.Event{Fact: &run.Fact{At: begin, Body: &run.CallStarted{Path: run.Path(fmt.Sprintf("notes[%d]", i)), Attempt: 1}}})
	}
	tree.Hold()
	b.Reset()
	tree.GoOn()
	frame := lastFrame(b.String())
	tree.Close()
	if n := strings.Count(frame, "\n") + 1; n > 10 {
		t.Errorf("%d lines on a screen of 12:\n%s", n, frame)
	}
	if !strings.Contains(frame, "0/500") || !strings.Contains(frame, "more") {
		t.Errorf("the frame does not say how many:\n%s", frame)
	}
	for _, line := range strings.Split(frame, "\n") {
		if len([]rune(line)) > 60 {
			t.Errorf("wider than the screen: %q", line)
		}
	}
}

func TestInert(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext ü 漢 🙂": "plain\n\ttext ü 漢 🙂",
		"\x1b[31mred\x1b[0m":  "␛[31mred␛[0m",
		"a\rb\r\n\x00\x7f":    "a␍b\n␀␡",
		"\u202egnp.exe":       "\ufffdgnp.exe",
		"\xff\u009b2J":        "\ufffd\ufffd2J",
	} {
		if got := screen.Inert(in); got != want {
			t.Errorf("Inert(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		340 * time.Millisecond: "0.3s", 12300 * time.Millisecond: "12s", 185 * time.Second: "3m05s", 2 * time.Hour: "2h00m", 50 * time.Hour: "2d2h",
	} {
		if got := screen.Took(d); got != want {
			t.Errorf("Took(%v) = %s, want %s", d, got, want)
		}
	}
	for micro, want := range map[int64]string{0: "$0", 1_240_000: "$1.24", 3100: "$0.0031", 7: "$0.000007"} {
		if got := screen.Dollars(micro); got != want {
			t.Errorf("Dollars(%d) = %s, want %s", micro, got, want)
		}
	}
	for _, tt := range []struct {
		u    run.Usage
		want string
	}{
		{run.Usage{}, ""},
		{run.Usage{Calls: 1, Tokens: run.Unknown, CostSource: run.Unknown}, "cost unknown"},
		{run.Usage{Input: 10, Output: 5, Tokens: run.Estimated}, "about 15 tokens"},
	} {
		if got := screen.Used(tt.u); got != tt.want {
			t.Errorf("Used(%+v) = %q, want %q", tt.u, got, tt.want)
		}
	}
}
