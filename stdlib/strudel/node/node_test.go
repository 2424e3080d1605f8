package node

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// packages makes a folder with small packages that stand in for the real ones: they play what their code returns.
func packages(t *testing.T) string {
	t.Helper()
	if os.Getenv("SLOP_LONG") == "" {
		t.Skip("asks Node in make test-long")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatalf("the engine for people who have Node is tested with Node 20 or newer: %v; install nodejs and run again", err)
	}
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(folder, "node_modules", "@strudel", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"core", "mini", "transpiler"} {
		write(name+"/package.json", `{"name": "@strudel/`+name+`", "type": "module", "main": "index.mjs"}`)
	}
	write("core/index.mjs", `import '@kabelsalat/web';
export class Pattern {}
export const evalScope = async () => {};
export const stack = (...all) => all[0];
export const evaluate = async (code) => ({ pattern: await (async () => Function(code)())() });`)
	write("mini/index.mjs", "export {}")
	write("transpiler/index.mjs", "export const transpiler = {}")
	return folder
}

const oneEvent = `const time = (text) => ({ toFraction: () => text });
const span = { begin: time("0"), end: time("1/2") };
return { queryArc: (begin, end) => [{ whole: span, part: span, value: VALUE }] };`

func TestAsk(t *testing.T) {
	folder := packages(t)
	got, err := Ask(t.Context(), folder, strings.Replace(oneEvent, "VALUE", `{ s: "bd" }`, 1), 1)
	if err != nil || got.Problem != "" || got.CPS != 0.5 || len(got.Events) != 1 || got.Events[0].Value["s"] != "bd" || got.Events[0].Whole.End != pattern.Fraction(1, 2) {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = Ask(t.Context(), folder, "throw new Error('off key')", 1)
	if err != nil || got.Problem != "off key" {
		t.Errorf("code that throws gives %+v, %v", got, err)
	}
	if _, err = Ask(t.Context(), t.TempDir(), "1", 1); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "npm install") {
		t.Errorf("a folder without packages gives %v", err)
	}
}

// Code gets at no file, no program, no network, no variable of ours, and ends when its time or memory does.
func TestCodeIsShutIn(t *testing.T) {
	folder := packages(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLOP_TEST_SECRET", "s3cret")
	for name, value := range map[string]string{
		"the process":   `{ got: typeof process }`,
		"fetch":         `{ got: typeof fetch }`,
		"require":       `{ got: typeof require }`,
		"the variables": `{ got: JSON.stringify(globalThis.process?.env ?? "none") }`,
		"a constructor": `{ got: String((() => { try { return this.constructor.constructor("return process")().env.SLOP_TEST_SECRET } catch (e) { return e.message } })()) }`,
	} {
		got, err := Ask(t.Context(), folder, strings.Replace(oneEvent, "VALUE", value, 1), 1)
		if err != nil || len(got.Events) != 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		if said, _ := got.Events[0].Value["got"].(string); strings.Contains(said, "s3cret") || said == "object" || said == "function" {
			t.Errorf("%s: code got %q", name, said)
		}
	}
	for name, code := range map[string]string{
		"a file":    `return import("node:fs").then((fs) => { throw new Error(fs.readFileSync("` + secret + `", "utf8")) })`,
		"a program": `return import("node:child_process").then((c) => { throw new Error(String(c.execSync("echo s3cret"))) })`,
	} {
		got, err := Ask(t.Context(), folder, code, 1)
		if err == nil && (got.Problem == "" || strings.Contains(got.Problem, "s3cret")) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	if _, err := Ask(ctx, folder, "for (;;) {}", 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("code without an end gives %v", err)
	}
	if _, err := Ask(t.Context(), folder, "const all = []; for (;;) all.push(new Array(1e6).fill('x' + all.length))", 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("code that eats memory gives %v", err)
	}
}
