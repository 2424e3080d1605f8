package song_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/song"
)

// The table in testdata/strudel says what the real packages gave for each pattern:
//
//	== a title, 2 cycles
//	the code, in any number of lines
//	->
//	cps 0.7                      when it is not 0.5
//	0 1/2 {"s":"bd"}             begin and end of the event, and its values
//	0 2 part 1/2 1 {…}           when only a part of it lies in the cycles asked for
//	~ part 0 1 {…}               a value without an event
//	fails: …                     what the packages said instead
//	refused: …                   what is said here where they play, and this does not cover it
type row struct {
	title  string
	cycles int
	code   string
	cps    float64
	events []event
	fails  string
	refuse string
}

type event struct {
	Whole *[2]string `json:"whole"`
	Part  [2]string  `json:"part"`
	Value any        `json:"value"`
}

const tables = "../../../testdata/strudel"

func readTable(t *testing.T, file string) (rows []row) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split("\n"+string(text), "\n== ")[1:] {
		head, rest, _ := strings.Cut(block, "\n")
		r := row{title: head, cycles: 2, cps: 0.5}
		if i := strings.LastIndex(head, ", "); i >= 0 {
			if n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(head[i+2:], "s"), " cycle")); err == nil {
				r.title, r.cycles = head[:i], n
			}
		}
		code, found, _ := strings.Cut(rest, "\n->")
		r.code = strings.TrimSpace(code)
		for line := range strings.Lines(found) {
			line = strings.TrimSpace(line)
			at := strings.IndexByte(line, '{')
			switch {
			case line == "":
				continue
			case strings.HasPrefix(line, "cps "):
				r.cps, err = strconv.ParseFloat(line[4:], 64)
			case strings.HasPrefix(line, "fails: "):
				r.fails = line[7:]
			case strings.HasPrefix(line, "refused: "):
				r.refuse = line[9:]
			default:
				var e event
				if at < 0 {
					at = strings.LastIndexByte(line, ' ')
				}
				err = json.Unmarshal([]byte(line[at:]), &e.Value)
				words := strings.Fields(line[:at])
				if words[0] != "~" {
					e.Whole = &[2]string{words[0], words[1]}
					e.Part = *e.Whole
				}
				if i := slices.Index(words, "part"); i >= 0 {
					e.Part = [2]string{words[i+1], words[i+2]}
				}
				r.events = append(r.events, e)
			}
			if err != nil {
				t.Fatalf("%s: %s: %q: %v", file, head, line, err)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

func tableFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(tables, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables in %s: %v", tables, err)
	}
	return files
}

// What the real packages play is what plays here, or it is refused with a reason.
func TestPlaysWhatStrudelPlays(t *testing.T) {
	played := 0
	for _, file := range tableFiles(t) {
		for _, r := range readTable(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+r.title, func(t *testing.T) {
				events, cps, problem := play(t.Context(), r)
				switch {
				case r.refuse != "":
					if problem != r.refuse {
						t.Errorf("%s\nsays %q, the table says it is refused: %q", r.code, problem, r.refuse)
					}
				case r.fails != "":
					if problem == "" {
						t.Errorf("%s\nplays %s, and Strudel fails: %s", r.code, show(events), r.fails)
					}
				case problem != "":
					t.Errorf("%s\nproblem: %s\nStrudel plays\n%s", r.code, problem, show(r.events))
				default:
					played++
					if cps != r.cps {
						t.Errorf("%s\nplays %v cycles a second, want %v", r.code, cps, r.cps)
					}
					if diff := compare(events, r.events); diff != "" {
						t.Errorf("%s\n%s", r.code, diff)
					}
				}
			})
		}
	}
	if played < 150 {
		t.Errorf("only %d patterns were compared", played)
	}
}

func play(ctx context.Context, r row) ([]event, float64, string) {
	s, problems := song.Read(r.code)
	if s == nil {
		return nil, 0, problems[0].String()
	}
	found, err := s.AtOnce(ctx, int64(r.cycles))
	if err != nil {
		return nil, 0, err.Error()
	}
	var events []event
	for _, f := range found {
		e := event{Part: [2]string{f.Part.Begin.String(), f.Part.End.String()}, Value: f.Value}
		if f.Whole != nil {
			e.Whole = &[2]string{f.Whole.Begin.String(), f.Whole.End.String()}
		}
		events = append(events, e)
	}
	return events, s.CPS, ""
}

// compare tells how two lists of events differ, in any order of those at the same time.
func compare(got, want []event) string {
	left := slices.Clone(want)
	var more []event
	for _, g := range got {
		i := slices.IndexFunc(left, func(w event) bool { return same(g, w) })
		if i < 0 {
			more = append(more, g)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(more)+len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("plays what Strudel does not:\n%smisses what Strudel plays:\n%s", show(more), show(left))
}

func same(a, b event) bool {
	if (a.Whole == nil) != (b.Whole == nil) || a.Whole != nil && *a.Whole != *b.Whole || a.Part != b.Part {
		return false
	}
	return alike(plain(a.Value), plain(b.Value))
}

// plain is a value as JSON has it.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		return err.Error()
	}
	return out
}

func alike(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(a))
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !alike(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, alike)
	}
	return a == b
}

func show(events []event) string {
	var b strings.Builder
	for _, e := range events {
		text, _ := json.Marshal(e.Value)
		switch {
		case e.Whole == nil:
			fmt.Fprintf(&b, "~ part %s %s %s\n", e.Part[0], e.Part[1], text)
		case *e.Whole == e.Part:
			fmt.Fprintf(&b, "%s %s %s\n", e.Part[0], e.Part[1], text)
		default:
			fmt.Fprintf(&b, "%s %s part %s %s %s\n", e.Whole[0], e.Whole[1], e.Part[0], e.Part[1], text)
		}
	}
	return b.String()
}

// The real packages still play what the table says. It installs them from the npm registry into a folder of its own; with SLOP_GOLDEN=1 it writes the table anew.
func TestTableIsWhatStrudelPlays(t *testing.T) {
	if os.Getenv("SLOP_LONG") == "" {
		t.Skip("asks the real packages in make test-long")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the table is checked with Node 20 or newer: %v; install nodejs and npm and run again", err)
		}
	}
	folder := os.Getenv("SLOP_STRUDEL_PACKAGES") // one that has them already
	if folder == "" {
		folder = t.TempDir()
		install := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder,
			"@strudel/core@1.2.6", "@strudel/mini@1.2.6", "@strudel/transpiler@1.2.6", "@strudel/tonal@1.2.6")
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
	}
	script, err := filepath.Abs("../node/engine.mjs")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	for _, file := range tableFiles(t) {
		rows := readTable(t, file)
		var requests, after strings.Builder
		for _, r := range rows {
			text, _ := json.Marshal(map[string]any{"code": r.code, "cycles": r.cycles})
			requests.Write(append(text, '\n'))
		}
		ask := exec.CommandContext(ctx, "node", "--no-warnings", "--experimental-vm-modules", "--experimental-import-meta-resolve", script, folder)
		ask.Stdin, ask.Stderr = strings.NewReader(requests.String()), os.Stderr
		out, err := ask.Output()
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		answers := bufio.NewScanner(strings.NewReader(string(out)))
		answers.Buffer(nil, 64<<20)
		for _, r := range rows {
			if !answers.Scan() {
				t.Fatalf("%s: no answer for %s", file, r.title)
			}
			var a struct {
				Error  string
				Broken string
				CPS    float64
				Events []event
			}
			if err := json.Unmarshal(answers.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			if a.Broken != "" {
				t.Fatal(a.Broken)
			}
			if os.Getenv("SLOP_GOLDEN") != "" {
				after.WriteString(written(t, r, a.CPS, a.Error, a.Events))
				continue
			}
			if (a.Error != "") != (r.fails != "") {
				t.Errorf("%s\nfails: %q, the table has %q", r.code, a.Error, r.fails)
			} else if diff := compare(r.events, a.Events); diff != "" && r.refuse == "" {
				t.Errorf("%s\nthe table %s", r.code, diff)
			}
		}
		if after.Len() > 0 {
			if err := os.WriteFile(file, []byte(after.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func written(t *testing.T, r row, cps float64, fails string, events []event) string {
	t.Helper()
	var b strings.Builder
	unit := "cycles"
	if r.cycles == 1 {
		unit = "cycle"
	}
	fmt.Fprintf(&b, "== %s, %d %s\n%s\n->\n", r.title, r.cycles, unit, r.code)
	_, _, problem := play(t.Context(), r)
	switch {
	case fails != "":
		fmt.Fprintf(&b, "fails: %s\n", strings.ReplaceAll(fails, "\n", " "))
	case problem != "":
		fmt.Fprintf(&b, "refused: %s\n", problem)
	default:
		if cps != 0.5 {
			fmt.Fprintf(&b, "cps %v\n", cps)
		}
		slices.SortStableFunc(events, func(a, b event) int {
			x, _ := pattern.ParseTime(a.Part[0])
			y, _ := pattern.ParseTime(b.Part[0])
			return x.Cmp(y)
		})
		b.WriteString(show(events))
	}
	b.WriteString("\n")
	return b.String()
}
