package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// canary is a secret with signs that every encoding changes.
const canary = `c4nary+bird/7f?"q&z=%wing`

// blown names the forms of the canary that stand in text.
func blown(text string) []string {
	quoted, _ := json.Marshal(canary)
	var found []string
	for name, form := range map[string]string{
		"as it is": canary, "in JSON": strings.Trim(string(quoted), `"`), "in a query": url.QueryEscape(canary), "in a path": url.PathEscape(canary),
		"in base64":         strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(canary)), "=")[:28],
		"in base64 of URLs": strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(canary)), "=")[:28],
		"in base64, user":   base64.StdEncoding.EncodeToString([]byte("user:" + canary))[8:32],
		"its first half":    canary[:12],
	} {
		if strings.Contains(text, form) {
			found = append(found, name)
		}
	}
	return found
}

// gossip is a server that says back all that it was told, in the way its path asks for.
func gossip(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var told []string
	for _, name := range []string{"Authorization", "X-Api-Key", "X-Key", "X-User"} {
		if v := strings.TrimPrefix(r.Header.Get(name), "Bearer "); v != "" {
			told = append(told, v, url.QueryEscape(v), url.PathEscape(v), base64.StdEncoding.EncodeToString([]byte(v)),
				base64.RawURLEncoding.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte("user:"+v)))
		}
	}
	all := strings.Join(told, " | ")
	quoted, _ := json.Marshal(all)
	w.Header().Set("X-Echo", strings.ReplaceAll(all, "\n", " "))
	switch kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); kind {
	case "ok":
		fmt.Fprintf(w, `{"told":%s,"sent":%q}`, quoted, body)
	case "denied", "broken", "busy", "bad":
		w.WriteHeader(map[string]int{"denied": 401, "broken": 500, "busy": 429, "bad": 400}[kind])
		fmt.Fprintf(w, `{"error":{"type":"invalid_request_error","message":%s}}`, quoted)
	case "away":
		w.Header().Set("Location", "/ok?key="+url.QueryEscape(all))
		w.WriteHeader(http.StatusFound)
	case "chat", "drip": // a model of OpenAI's protocol
		var ask struct{ Stream bool }
		_ = json.Unmarshal(body, &ask)
		if !ask.Stream {
			fmt.Fprintf(w, `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, quoted)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		size := len(all)
		if kind == "drip" {
			size = 7
		}
		for rest := all; rest != ""; {
			piece := rest[:min(size, len(rest))]
			rest = rest[len(piece):]
			text, _ := json.Marshal(piece)
			fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":%s}}]}\n\n", text)
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	case "garbage":
		fmt.Fprintf(w, "data: {%s", all)
	}
}

// gossipProgram plays the claude program: it says its key on every way out.
const gossipProgram = `#!/bin/sh
cat >/dev/null
[ "$1" = --version ] && { echo "$ANTHROPIC_API_KEY"; exit 0; }
b=$(printf %s "$ANTHROPIC_API_KEY" | base64 | tr -d '\n')
k=$(printf %s "$ANTHROPIC_API_KEY" | sed 's/"/\\"/g')
echo "stderr $ANTHROPIC_API_KEY $b" >&2
[ -n "$1" ] || exit 9
echo '{"type":"system","subtype":"init","session_id":"s","tools":[],"model":"m"}'
echo "{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"$k\"}}}"
case "$*" in
*=crash*) exit 3 ;;
*=error*) echo "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,\"result\":\"$k $b\",\"session_id\":\"$k\"}"; exit 1 ;;
esac
sleep 0.3
echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"$k $b\",\"session_id\":\"$k\",\"total_cost_usd\":0.1}"
`

// A secret goes through every kind of agent, in success and in failure, and turns up nowhere.
func TestCanary(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(gossip))
	defer server.Close()
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("bin/claude", gossipProgram, 0o755)
	var conf strings.Builder
	for _, kind := range []string{"chat", "drip", "denied", "broken", "busy", "bad", "away", "garbage"} {
		fmt.Fprintf(&conf, "[agents.%s]\nuse = \"openai\"\nbase_url = %q\nmodel = \"m\"\napi_key_env = \"THE_KEY\"\n", kind, server.URL+"/"+kind)
		fmt.Fprintf(&conf, "[agents.api_%s]\nuse = \"claude\"\nprefer = \"api\"\nbase_url = %q\nmodel = \"m\"\napi_key_env = \"THE_KEY\"\n", kind, server.URL+"/"+kind)
	}
	for _, kind := range []string{"fine", "error", "crash"} {
		fmt.Fprintf(&conf, "[agents.cli_%s]\nuse = \"claude\"\nprefer = \"cli\"\nmodel = %q\napi_key_env = \"THE_KEY\"\n", kind, kind)
	}
	put("slop.toml", conf.String(), 0o644)

	scripts := map[string]string{}
	for _, kind := range []string{"chat", "drip", "denied", "broken", "busy", "bad", "away", "garbage"} {
		scripts["openai-"+kind] = kind + ` "hi"`
		scripts["claude-api-"+kind] = "api_" + kind + ` "hi"`
	}
	for _, kind := range []string{"chat", "garbage"} {
		scripts["openai-as-"+kind] = "type T { told: int }\n" + kind + ` "hi" as T repair 1`
	}
	for _, kind := range []string{"fine", "error", "crash"} {
		scripts["claude-cli-"+kind] = "cli_" + kind + ` "hi"`
	}
	for _, kind := range []string{"ok", "denied", "broken", "busy", "bad", "away", "garbage"} {
		scripts["http-get-"+kind] = "secret token\nhttp.get(url: \"" + server.URL + "/" + kind + "\", headers: {Authorization: \"Bearer <<token>>\", \"X-Key\": token})"
	}
	for _, kind := range []string{"ok", "denied"} {
		scripts["http-post-"+kind] = "secret token\nhttp.post(url: \"" + server.URL + "/" + kind + "\", headers: {\"X-Key\": token}, body: {a: 1})"
	}
	scripts["http-nobody"] = "secret token\nhttp.get(url: \"http://" + unserved(t) + "/\", headers: {\"X-Key\": token})"
	scripts["http-header-fault"] = "secret token\nhttp.get(url: \"" + server.URL + "/ok\", headers: {\"X-Key\": \"<<token>>\\n\"})"
	for name, sh := range map[string]string{
		"out": `echo "$T"; printf %s "$T" | base64; env`, "err": `echo "$T" >&2`, "fail": `echo "$T" >&2; printf %s "$T" | base64 >&2; exit 3`,
		"fail-out": `echo "$T"; exit 3`, "slow": `printf %s "$T" | cut -c1-9; sleep 0.3; echo "$T"`, "hang": `echo "$T" >&2; echo "$T"; sleep 60`,
	} {
		scripts["shell-"+name] = "secret token\nshell(sh: '" + sh + "', env: {T: token}) timeout 800ms"
	}
	scripts["kept"] = "secret token\na = shell(sh: 'echo \"$T\"', env: {T: token})\nb = memory.set(path: \"k\", value: a)\nc = memory.get \"k\" after b\nrequire c == nil else \"it was <<c ?? \"\">>\"\noutput c"
	scripts["fallback"] = "secret token\na = shell(sh: 'echo \"$T\" >&2; exit 1', env: {T: token}) else echo \"failed: <<error.message>>\"\noutput a"
	scripts["asked"] = "secret token\na = shell(sh: 'echo \"$T\"', env: {T: token})\nb = human.ask \"What is <<a>>?\"\noutput b"
	scripts["thrown"] = "secret token\na = shell(sh: 'echo \"$T\"', env: {T: token})\nlet n = int(a)\noutput n"
	scripts["large"] = "secret token\na = shell(sh: 'head -c 70000 /dev/zero | tr \"\\0\" x; echo \"$T\"; head -c 70000 /dev/zero | tr \"\\0\" y', env: {T: token})\nb = shell(sh: 'tail -c 70010', stdin: a)\noutput \"<<len(a)>> <<len(b)>>\""
	scripts["restarted"] = "secret token\na = shell(sh: 'printf %s \"$T\" > told.txt', env: {T: token})\nok = human.ask \"Go?\" after a\nb = shell(sh: 'cat told.txt') after ok\noutput \"<<ok>> <<b>>\""
	scripts["in-a-prompt"] = "secret token\necho \"<<token>>\"" // refused
	for name, text := range scripts {
		put(name+".slop", text+"\n", 0o644)
	}

	env := append(os.Environ(), "SLOP_HOME="+home, "SLOP_TRUST=1", "token="+canary, "THE_KEY="+canary, "CI=", "TERM=xterm",
		"PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	watching, stop := watchArgv()
	var heard struct {
		sync.Mutex
		text strings.Builder
	}
	slop := func(t *testing.T, dir, stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command("slop", args...)
		cmd.Dir, cmd.Env, cmd.Stdin = dir, env, strings.NewReader(stdin)
		var out, err bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &err
		if e := cmd.Run(); e != nil && cmd.ProcessState == nil {
			t.Fatal(e)
		}
		heard.Lock()
		heard.text.WriteString(out.String() + err.String())
		heard.Unlock()
		for name, text := range map[string]string{"standard output": out.String(), "standard error": err.String()} {
			if forms := blown(text); len(forms) > 0 {
				t.Errorf("slop %s: the secret stands in %s (%s):\n%s", strings.Join(args, " "), name, strings.Join(forms, ", "), text)
			}
		}
		if cmd.ProcessState.ExitCode() == exitUsage && !strings.Contains(strings.Join(args, " "), "bad") {
			t.Errorf("slop %s did not run:\n%s", strings.Join(args, " "), err.String())
		}
	}
	t.Run("runs", func(t *testing.T) {
		for name := range scripts {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				file := name + ".slop"
				slop(t, dir, "", "run", file)
				slop(t, dir, "", "run", "--json", file)
				slop(t, dir, "", "run", "--events", "ndjson", file)
			})
		}
	})
	for _, name := range []string{"openai-chat", "http-get-ok", "shell-out", "claude-cli-fine"} {
		slop(t, dir, "", "run", "--dry-run", name+".slop")
		slop(t, dir, "", "graph", "--format", "json", name+".slop")
	}
	// What is kept is taken up by other processes, told things by others still, and shown by others again.
	ids := keptRuns(t, home)
	for name, step := range map[string]string{"restarted": "ok", "asked": "b"} {
		slop(t, dir, "I say "+canary, "answer", ids[name], step, "-")
		slop(t, dir, "", "resume", ids[name])
	}
	slop(t, dir, "", "run", "--detach", "shell-slow.slop")
	for _, name := range []string{"restarted", "asked", "large", "thrown", "fallback", "shell-err", "http-get-away", "claude-cli-error", "openai-drip"} {
		for _, verb := range []string{"events", "export", "logs", "show"} {
			slop(t, dir, "", "runs", verb, ids[name])
		}
	}
	slop(t, dir, "", "runs", "--json", "--limit", "1000")
	slop(t, dir, "", "runs", "fork", ids["restarted"], "--from", "b")

	// The bird did sing: it was there to be blacked out.
	for _, name := range []string{"THE_KEY", "token"} {
		if n := strings.Count(heard.text.String(), "‹secret "+name+"›"); n < 50 {
			t.Errorf("the secret %s was blacked out %d times only: does it reach the agents?", name, n)
		}
	}
	slop(t, dir, "", "agents")
	slop(t, dir, "", "agents", "--json")
	slop(t, dir, "secret token\na = shell(sh: 'echo \"$T\"; echo \"$T\" >&2', env: {T: token})\na\n:env\n:cost\nchat \"hi\"\ndenied \"hi\"\n", "repl")
	slop(t, dir, "secret token\nlet x = token\n", "repl")

	// Who writes a key into the configuration is told off without the key being shown around.
	for i, text := range []string{
		"[agents.a]\nuse = \"openai\"\napi_key_env = \"sk-%s\"\n",
		"[agents.a]\nuse = \"openai\"\napi_key = \"%s\"\n",
		"[agents.a]\nuse = \"openai\"\napi_key_env = \"%s\n",
		"[agents.a]\nuse = \"openai\"\nheaders = {Authorization = \"Bearer %s\"}\n",
		"[secrets]\ntoken = \"%s\"\n",
		"[secrets]\ntoken = '%s'\n",
		"[secrets]\ntoken = {value = \"%s\"}\n",
		"[secrets.token]\nvalue = \"%s\"\n",
		"token = \"%s\"\n",
	} {
		folder := fmt.Sprintf("bad%d", i)
		put(folder+"/slop.toml", fmt.Sprintf(text, strings.ReplaceAll(canary, `"`, "")), 0o644)
		put(folder+"/run.slop", "echo \"hi\"\n", 0o644)
		cmd := exec.Command("slop", "run", "run.slop")
		cmd.Dir, cmd.Env = filepath.Join(dir, folder), env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%q is accepted", text)
		}
		if strings.Contains(string(out), canary[:12]) {
			t.Errorf("a mistake in slop.toml shows the key:\n%s", out)
		}
	}

	keptRuns(t, home)
	close(stop)
	for _, line := range <-watching {
		t.Errorf("the secret stands on a command line: %s", line)
	}
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // the folder is made when it is needed
		}
		text, err := os.ReadFile(path)
		if forms := blown(string(text)); len(forms) > 0 {
			t.Errorf("the secret stands in %s (%s)", path, strings.Join(forms, ", "))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// keptRuns reads every run of a state folder, fact by fact, and all bytes beside them, and gives one run of each flow that has not ended if there is any.
func keptRuns(t *testing.T, home string) map[string]string {
	t.Helper()
	st, err := stateFlag{State: filepath.Join(home, "state")}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	entries, _, err := st.store.List(t.Context(), store.Filter{Limit: store.MaxLimit})
	if err != nil || len(entries) < 50 {
		t.Fatalf("%d runs are kept, %v", len(entries), err)
	}
	ids := map[string]string{}
	for _, e := range entries {
		if ids[e.Flow] == "" || e.Status == run.Waiting {
			ids[e.Flow] = string(e.Run)
		}
		facts, err := st.store.Load(t.Context(), e.Run, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range facts {
			text, err := run.EncodeFact(f)
			if forms := blown(string(text)); err != nil || len(forms) > 0 {
				t.Errorf("%s, fact %d: the secret stands in it (%s), %v:\n%.500s", e.Flow, f.Seq, strings.Join(forms, ", "), err, text)
			}
		}
	}
	for b, err := range st.store.AllBlobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		data, err := st.store.GetBlob(t.Context(), b.Hash)
		if forms := blown(string(data)); err != nil || len(forms) > 0 {
			t.Errorf("the secret stands in the bytes of %s (%s), %v", b.Hash, strings.Join(forms, ", "), err)
		}
	}
	return ids
}

// watchArgv looks at the command lines of all processes until stop is closed, and then gives those that hold the canary.
func watchArgv() (found chan []string, stop chan struct{}) {
	found, stop = make(chan []string, 1), make(chan struct{})
	go func() {
		seen := map[string]bool{}
		var lines []string
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				found <- lines
				return
			case <-tick.C:
			}
			paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, path := range paths {
				text, _ := os.ReadFile(path) // it may have ended
				line := strings.ReplaceAll(string(text), "\x00", " ")
				if len(blown(line)) > 0 && !seen[line] {
					seen[line] = true
					lines = append(lines, line)
				}
			}
		}
	}()
	return found, stop
}
