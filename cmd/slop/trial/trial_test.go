package trial_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/cmd/slop/trial"
	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib"
)

// play runs the first test of a script.
func play(t *testing.T, script string) trial.Result {
	t.Helper()
	r := agent.NewRegistry()
	for _, name := range stdlib.Names() {
		a, _ := stdlib.New(name, stdlib.Config{})
		if err := r.Register(a.Name, a.Agent, nil); err != nil {
			t.Fatal(err)
		}
	}
	scope := r.Scope()
	scope.Load = func(_, path string) (string, string, error) {
		return path, "input text: string\nagent polish = claude \"You polish.\"\npolish \"Polish: <<text>>\"\n", nil
	}
	p, tests, diags := lang.CompileTests(source.NewFile("main.slop", script), scope)
	if diags.HasErrors() {
		t.Fatalf("the script has errors: %s: %s", diags[0].Code, diags[0].Message)
	}
	return trial.Run(p, tests[0])
}

func problems(r trial.Result) string {
	var out []string
	for _, p := range r.Problems {
		out = append(out, p.Message)
	}
	return strings.Join(out, "\n")
}

// Waits, retries and timeouts take their time by the test's own clock, and none by ours.
func TestTimeCostsNothing(t *testing.T) {
	begun := time.Now()
	r := play(t, `
pause = wait "7d"
said = claude "hi" retry 3 wait 10s after pause
output said
test "a week" {
  mock wait -> nil
  fail claude "busy"
  fail claude "busy"
  mock claude -> "ok"
  expect output == "ok"
}
`)
	if got := problems(r); got != "" {
		t.Fatal(got)
	}
	if r.Elapsed < 7*24*time.Hour || r.Calls != 3 {
		t.Errorf("elapsed %v in %d calls, want a week and 3", r.Elapsed, r.Calls)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Answers come in order, the last is repeated, whether they stand on one line or several.
func TestAnswersInOrder(t *testing.T) {
	r := play(t, `
input n: int = 4
all = map i in 1..n limit 1 { claude "item <<i>>" }
output all
test "in order" {
  mock claude -> "a", "b"
  mock claude -> "c"
  expect output == ["a", "b", "c", "c"]
}
`)
	if got := problems(r); got != "" {
		t.Error(got)
	}
}

// A configured or scripted persona answers by its own name first.
func TestNamesOfMocks(t *testing.T) {
	r := play(t, `
agent critic = claude "You judge."
a = critic "x"
b = claude "y"
output a + b
test "both" {
  mock critic -> "C"
  mock claude -> "D"
  expect output == "CD"
}
`)
	if got := problems(r); got != "" {
		t.Error(got)
	}
}

// Memory and echo need no mock; a person without an answer lets the time run out.
func TestBuiltins(t *testing.T) {
	r := play(t, `
saved = memory.set(value: 41) "n"
read = memory.get "n" after saved
ok = human.approve "Sure?" timeout 2h else "no"
said = echo "n is <<read ?? 0>>"
output {said: said, ok: ok}
test "alone" {
  fail human.approve "nobody there"
  expect output.said == "n is 41"
  expect output.ok == "no"
}
`)
	if got := problems(r); got != "" {
		t.Error(got)
	}
	if r.Elapsed != 2*time.Hour {
		t.Errorf("elapsed %v, want the two hours of the question", r.Elapsed)
	}
}

// Shared state goes by the clock of the test, and begins empty in each scope.
func TestMemoryOfATest(t *testing.T) {
	r := play(t, `
a = memory.set(path: "brief", value: 1, ttl: "1h", scope: "flow")
n = memory.add(path: "n", scope: "shared")
before = memory.get(path: "brief", scope: "flow", default: 0) after a
w = wait "90m" after before
after_it = memory.get(path: "brief", scope: "flow", default: 0) after w
output [n, before, after_it]
test "time goes by" { expect output == [1, 1, 0] }
`)
	if got := problems(r); got != "" {
		t.Error(got)
	}
}

// A used flow is mocked whole, or by the agents inside it.
func TestFlows(t *testing.T) {
	for _, mock := range []string{`mock shine -> "P"`, `mock polish -> "P"`, `fail shine "away"` + "\n" + `mock shine -> "P"`, `fail polish "away"` + "\n" + `mock polish -> "P"`} {
		r := play(t, "use \"./part.slop\" as shine\na = shine \"one\" else shine(text: \"two\")\noutput a\ntest \"t\" {\n"+mock+"\nexpect output == \"P\"\n}\n")
		if got := problems(r); got != "" {
			t.Errorf("%s: %s", mock, got)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, tt := range []struct{ test, want string }{
		{`given topic = "x"` + "\n" + `mock claude -> "y"` + "\n" + `expect output == "z"`, `expected output == "z"`},
		{`given topic = "x"` + "\n" + `expect output == "z"`, "nothing says what claude answers at said; add `mock claude -> …`"},
		{`given topic = "x"` + "\n" + `mock claude -> "y"` + "\n" + `expect fail "no"`, `expected the flow to fail with "no", and it did not fail`},
		{`given topic = "x"` + "\n" + `fail claude "asleep"` + "\n" + `expect output == "y"`, "the flow failed at said: asleep"},
		{`given topic = "x"` + "\n" + `fail claude "asleep"` + "\n" + `expect fail "broken"`, `expected the flow to fail with "broken"`},
	} {
		r := play(t, "input topic: string\nsaid = claude \"About <<topic>>\"\noutput said\ntest \"t\" {\n"+tt.test+"\n}\n")
		if got := problems(r); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.test, got, tt.want)
		}
	}
}

// A text of a test stands for a file wherever a file belongs: as an input, in a list, in an answer.
func TestTextsStandForFiles(t *testing.T) {
	r := play(t, `
input one: file
input more: [file]
input kept: {cover: file, title: string}
sound = strudel.render(code: "c")
all = map f in more { echo "<<f.name>> <<f.size>> <<f.text>>" }
output [one.text, kept.cover.text, kept.title, sound.audio.text, join(all, ";")]
test "files" {
  given one = "ä"
  given more = ["first", ""]
  given kept = {cover: "picture", title: "t"}
  mock strudel.render -> {audio: "noise", midi: "", picture: "", seconds: 1.0, events: 1, unrendered: []}
  expect output == ["ä", "picture", "t", "noise", "file2.txt 5 first;file3.txt 0 "]
}
`)
	if got := problems(r); got != "" {
		t.Error(got)
	}
	r = play(t, `
input one: file
output one.name
test "a number is no file" {
  given one = 3
  expect output == "x"
}
`)
	if got := problems(r); !strings.Contains(got, "given one: ") || !strings.Contains(got, "file") {
		t.Errorf("a number as a file: %q", got)
	}
}

// A test caches as a run does: for calls that begin after the answer, as long as the script says, and only what fits.
func TestCache(t *testing.T) {
	r := play(t, `
first = parallel {
  a = claude "Name one." cache 1h
  b = claude "Name one." cache 1h
}
c = claude "Name one." cache 1h after first
pause = wait "2h"
d = claude "Name one." cache 1h after pause
n = claude "How many?" as int cache 1h after d
m = claude "How many?" as int cache 1h after n
output "<<first.a>> <<first.b>> <<c>> <<d>> <<n>> <<m>>"
test "cached" {
  mock claude -> "one", "two", "three", "many", 5, 6
  expect output == "one two two three 5 5"
}`)
	if len(r.Problems) > 0 {
		t.Error(problems(r))
	}
}
