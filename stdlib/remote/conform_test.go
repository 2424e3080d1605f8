//go:build unix

package remote_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/slopstudios/slop/stdlib/remote"
)

// conform runs the conformance test and gives the parts that were not passed.
func conform(t *testing.T, p remote.Program) (ok bool, bad map[string]remote.Result, passed int) {
	t.Helper()
	bad = map[string]remote.Result{}
	o := remote.TestOptions{Limit: 20 * time.Second, Pong: 20 * time.Second}
	if slices.Contains(p.Command, "dumb") {
		o.Pong = 200 * time.Millisecond // it never comes
	}
	p.Name = "mine"
	ok = remote.Test(t.Context(), p, o, func(r remote.Result) {
		if r.Verdict == remote.Passed {
			passed++
		} else {
			bad[r.Part] = r
		}
	})
	return ok, bad, passed
}

// Every example of an agent passes every part of the conformance test. The tools are there wherever `make test` runs.
func TestExamples(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Abs("../../examples/agents")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "words"), ".")
	build.Dir = filepath.Join(examples, "go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	source, err := os.ReadFile(filepath.Join(examples, "typescript", "agent.ts"))
	if err != nil {
		t.Fatal(err)
	}
	js := api.Transform(string(source), api.TransformOptions{Loader: api.LoaderTS, Format: api.FormatESModule, Target: api.ES2022})
	if len(js.Errors) > 0 {
		t.Fatalf("%+v", js.Errors)
	}
	module := filepath.Join(dir, "agent.mjs")
	if err := os.WriteFile(module, js.Code, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{
		"go":         {filepath.Join(dir, "words")},
		"python":     {"python3", filepath.Join(examples, "python", "agent.py")},
		"typescript": {"node", module},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ok, bad, passed := conform(t, remote.Program{Command: command})
			if !ok || len(bad) > 0 || passed < 12 {
				t.Errorf("%d parts passed, and not: %+v", passed, bad)
			}
		})
	}
}

// The conformance test finds what is wrong.
func TestConformanceFindsFaults(t *testing.T) {
	t.Parallel()
	for role, parts := range map[string]string{
		"good":    "refuses a capability it does not have", // it answers whatever it is asked
		"dumb":    "answers a ping",
		"quits":   "says hello",
		"babbles": "refuses a capability it does not have, writes nothing but messages to its output",
		"doubles": "answers each call once, refuses a capability it does not have",
		"lies":    `answers the agent itself {"text":"hi"}, refuses a capability it does not have`,
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			ok, bad, _ := conform(t, playing(role))
			var failed []string
			for part, r := range bad {
				if r.Verdict == remote.Failed {
					failed = append(failed, part)
				}
			}
			for _, part := range strings.Split(parts, ", ") {
				if bad[part].Verdict != remote.Failed {
					t.Errorf("%q did not fail: %+v", part, bad)
				}
			}
			if ok || len(failed) != strings.Count(parts, ", ")+1 {
				t.Errorf("failed: %q", failed)
			}
		})
	}
}
