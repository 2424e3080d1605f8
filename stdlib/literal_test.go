//go:build unix

package stdlib_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib"
	"github.com/slopstudios/slop/stdlib/shell"
)

// attempts are values that have broken out of their place somewhere. Each is tried alone, and in the long form every two of the short ones together.
func attempts() []string {
	words := []string{
		"", " ", "a b", "\t", "\n", "a\nb", "\r\n", "\x00", "a\x00b", "'", `"`, "`", `\`, `\"`, `\'`, "''", `""`, "$", "$HOME", "${HOME}", "$(touch pwned)", "`touch pwned`",
		"; touch pwned", "| touch pwned", "& touch pwned", "&& touch pwned", "|| touch pwned", "> pwned", ">> pwned", "< pwned", "\ntouch pwned\n", `"; touch pwned; "`, "'; touch pwned; '",
		"-", "--", "-n", "-rf", "--help", "--output=pwned", "-o pwned", "*", "?", "[a-z]", "~", "~root", "{a,b}", "!", "!!", "#", "# no", "%s", "%n", "%00", "%0a", "%2e%2e", "%", "\\n",
		".", "..", "../..", "../../etc/passwd", `..\..`, "/", "//", "//evil.example", "/etc/passwd", "\\\\evil", "@evil.example", "user:pass@evil.example", ":80", "http://evil.example/",
		"file:///etc/passwd", "javascript:alert(1)", "?", "?x=1", "#x", "&z=2", "&q=evil", "=", ";", "+", "a+b", "x\r\nHost: evil.example", "x\r\n\r\nGET /evil HTTP/1.1\r\n", "\r\nSet-Cookie: a=b",
		"<<v>>", "{{v}}", "${{ v }}", "<<secret>>", "%(v)s", "\u202e", "\u200b", "\ufeff", "\u2028", "\u0085", "é", "e\u0301", "日本語", "🎵", "．．／", "ʹ", "\x1b[31m", "\x7f", "\b", "\v",
		strings.Repeat("a", 10_000), strings.Repeat("../", 100), strings.Repeat(`\`, 99) + `"`,
	}
	all := words
	if os.Getenv("SLOP_LONG") == "" {
		return all
	}
	for _, a := range words {
		for _, b := range words {
			if len(a)+len(b) <= 3 && a != "" && b != "" {
				all = append(all, a+b)
			}
		}
	}
	return all
}

// world is an engine with the real agents, a program that says what it was given, and a server that says what it was asked.
type world struct {
	engine      *engine.Engine
	plans       map[string]*plan.Plan
	host, pwned string
}

// say prints its arguments in brackets.
const say = "#!/bin/sh\nprintf '[%s]' \"$@\"\n"

func newWorld(t testing.TB) *world {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "say"), []byte(say), 0o755); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"host": r.Host, "path": r.URL.EscapedPath(), "query": r.URL.Query(), "fragment": r.URL.Fragment, "body": string(body),
			"x": strings.Join(r.Header.Values("X"), "|"), "evil": r.Header.Get("Set-Cookie"),
		})
	}))
	t.Cleanup(server.Close)
	registry := agent.NewRegistry()
	for _, name := range []string{"http", "shell"} {
		a, _ := stdlib.New(name, stdlib.Config{Shell: shell.Config{Folder: folder}})
		if err := registry.Register(name, a.Agent, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{engine: engine.New(engine.Config{Registry: registry}), plans: map[string]*plan.Plan{}, host: strings.TrimPrefix(server.URL, "http://"), pwned: filepath.Join(folder, "pwned")}
	t.Cleanup(func() { _ = w.engine.Close(t.Context()) })
	for name, script := range map[string]string{
		"word": `output shell "./say -- <<v>> a<<v>>b '<<v>> c'"`,
		"bare": `output shell "./say <<v>> end"`,
		"rest": `output shell(sh: 'printf "[%s]" "$V"; cat; printf .', env: {V: v}, stdin: v)`,
		"url":  `r = http.get "` + server.URL + `/a/<<v>>/b?q=<<v>>&z=1"` + "\noutput r.json ?? \"none\"",
		"part": `r = http.get "` + server.URL + `/a<<v>>?q=1#<<v>>"` + "\noutput r.json ?? \"none\"",
		"sent": `r = http.post(url: "` + server.URL + `/", query: {q: v}, body: v)` + "\noutput r.json ?? \"none\"",
		"head": `r = http.get(url: "` + server.URL + `/", headers: {X: v})` + "\noutput r.json ?? \"none\"",
	} {
		p, diags := lang.Compile(source.NewFile(name+".slop", "input v: string\n"+script+"\n"), registry.Scope())
		if diags.HasErrors() {
			t.Fatalf("%s: %v", name, diags)
		}
		w.plans[name] = p
	}
	return w
}

func (w *world) run(t *testing.T, name, v string) (any, string) {
	t.Helper()
	id, err := w.engine.Start(t.Context(), w.plans[name], map[string]any{"v": v}, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	end, err := w.engine.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if end.Error != nil {
		return nil, end.Error.Message
	}
	return end.Value, ""
}

// A value that came from anywhere reaches a program as one word and a server as one part of what it was asked, letter for letter; or the call fails and says why.
func FuzzValuesAreLiteral(f *testing.F) {
	for _, v := range attempts() {
		f.Add(v)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, v string) {
		if !utf8.ValidString(v) || len(v) > 20_000 {
			return // no value of the language; too long for an address
		}
		words := func(name, want, refused string) {
			switch got, failed := w.run(t, name, v); {
			case refused != "" && !strings.Contains(failed, refused):
				t.Errorf("%s: %q gave %q and failed with %q, want %q", name, v, got, failed, refused)
			case refused == "" && (failed != "" || got != want):
				t.Errorf("%s: %q gave %q (%s), want %q", name, v, got, failed, want)
			}
		}
		nul, option := "", ""
		if strings.Contains(v, "\x00") {
			nul = "NUL"
		}
		if strings.HasPrefix(v, "-") {
			option = "would be read as an option"
		}
		words("word", "[--]["+v+"][a"+v+"b]["+v+" c]", nul)
		words("bare", "["+v+"][end]", cmp.Or(option, nul))
		if nul == "" { // a variable that cannot be given says so in its own words
			words("rest", "["+v+"]"+v+".", "")
		}
		if _, err := os.Stat(w.pwned); err == nil {
			t.Fatalf("%q was run", v)
		}

		web := func(name, refused string, want map[string]any) {
			got, failed := w.run(t, name, v)
			if refused != "" {
				if !strings.Contains(failed, refused) {
					t.Errorf("%s: %q gave %v and failed with %q, want %q", name, v, got, failed, refused)
				}
				return
			}
			seen, _ := got.(map[string]any)
			if failed != "" || seen == nil {
				t.Errorf("%s: %q failed: %s", name, v, failed)
				return
			}
			if path, err := url.PathUnescape(seen["path"].(string)); err == nil {
				seen["segments"], seen["path"] = strings.Count(seen["path"].(string), "/"), path
			}
			for key, value := range want {
				if !reflect.DeepEqual(seen[key], value) {
					t.Errorf("%s: of %q the %s arrived as %q, want %q", name, v, key, seen[key], value)
				}
			}
			if seen["host"] != w.host || seen["evil"] != "" {
				t.Errorf("%s: %q reached %v, with %v", name, v, seen["host"], seen["evil"])
			}
		}
		climbs := ""
		if v == "." || v == ".." {
			climbs = "servers read as another path"
		}
		one := []any{v}
		web("url", climbs, map[string]any{"segments": 3, "path": "/a/" + v + "/b", "query": map[string]any{"q": one, "z": []any{"1"}}})
		web("part", "", map[string]any{"segments": 1, "path": "/a" + v, "query": map[string]any{"q": []any{"1"}}, "fragment": ""})
		web("sent", "", map[string]any{"query": map[string]any{"q": one}, "body": v})
		line := ""
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			line = "a header is one line"
		}
		web("head", line, map[string]any{"x": strings.Trim(v, " \t")})
	})
}
