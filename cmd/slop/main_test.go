package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"slop": main})
}

// TestCLI runs the archives of testdata/cli. Beside testscript's own commands they have
//
//	exits CODE COMMAND…       runs a command and checks how it exits
//	tty CODE INPUT COMMAND…   the same on a terminal of 100×30, typing the file INPUT; stdout is what the terminal showed
//	let NAME                  sets $NAME to the standard output of the last command
//	newest NAME               sets $NAME to the id of the run that was begun last
//	fill FILE…                puts $MODEL (a model server), $DEAD and $NOBODY (an address nobody serves) and $WORK into files
func TestCLI(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "cli"),
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("SLOP_GOLDEN") != "",
		Setup: func(e *testscript.Env) error {
			server := httptest.NewServer(http.HandlerFunc(model))
			e.Defer(server.Close)
			e.Setenv("MODEL", server.URL+"/v1")
			nobody := unserved(t)
			e.Setenv("DEAD", "http://"+nobody+"/v1")
			e.Setenv("NOBODY", nobody)
			e.Setenv("SLOP_HOME", filepath.Join(e.WorkDir, ".slop"))
			e.Setenv("TERM", "xterm")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "tty": tty, "fill": fill, "let": let, "newest": newest},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	checkCode(ts, args[0], err)
}

func checkCode(ts *testscript.TestScript, want string, err error) {
	code := 0
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		code = failed.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit %d, want %s", code, want)
	}
}

func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: let NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func newest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: newest NAME")
	}
	ts.Check(ts.Exec("slop", "runs", "--json", "--limit", "1"))
	var list struct{ Runs []struct{ ID string } }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	if len(list.Runs) == 0 {
		ts.Fatalf("there is no run")
	}
	ts.Setenv(args[0], list.Runs[0].ID)
}

func fill(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := ts.ReadFile(name)
		for _, v := range []string{"MODEL", "DEAD", "NOBODY", "WORK"} {
			text = strings.ReplaceAll(text, "$"+v, ts.Getenv(v))
		}
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}

// unserved is an address of this machine where nobody listens.
func unserved(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// model stands in for a model server. How it behaves is the name of the model it is asked for; without a special name it says what it was told.
func model(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/models") {
		fmt.Fprint(w, `{"data":[{"id":"m1"},{"id":"m2"}]}`)
		return
	}
	var ask struct {
		Model    string
		Stream   bool
		Messages []struct {
			Role    string
			Content any
		}
		Tools []struct {
			Function struct{ Name string }
		}
		Choice string `json:"tool_choice"`
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &ask); err != nil || len(ask.Messages) == 0 {
		http.Error(w, `{"error":{"message":"what?"}}`, http.StatusBadRequest)
		return
	}
	answer := fmt.Sprintf("%s says: %v", ask.Model, ask.Messages[len(ask.Messages)-1].Content)
	switch ask.Model {
	case "locked":
		http.Error(w, `{"error":{"message":"bad key"}}`, http.StatusUnauthorized)
		return
	case "hangs":
		<-r.Context().Done()
		return
	case "escapes":
		answer = "\x1b]0;owned\x07\x1b[2Jred"
	case "ticket":
		answer = `{"kind":"bug","urgent":true}`
	case "judge":
		answer = `{"scores":[{"name":"wit","score":0.9,"note":"dry"}],"feedback":"leave it"}`
	case "wrong":
		answer = `{"kind":"bird"}`
	case "key":
		answer = "key " + r.Header.Get("Authorization")
	}
	usage := `{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200}`
	text, _ := json.Marshal(answer)
	if !ask.Stream {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}],"usage":%s}`, text, usage)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if last := ask.Messages[len(ask.Messages)-1]; len(ask.Tools) > 0 && last.Role == "user" && ask.Choice != "none" { // it uses the first tool with what it is told
		args, _ := json.Marshal(last.Content)
		fmt.Fprintf(w, "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"function\":{\"name\":%q,\"arguments\":%s}}]},\"finish_reason\":\"tool_calls\"}]}\n\n", ask.Tools[0].Function.Name, args)
		fmt.Fprintf(w, "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[],\"usage\":%s}\n\ndata: [DONE]\n\n", usage)
		return
	}
	if ask.Model == "drips" {
		for _, word := range []string{"drip ", "drop "} {
			fmt.Fprintf(w, "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", word)
			w.(http.Flusher).Flush()
			select { // a model takes its time between words
			case <-time.After(100 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	}
	fmt.Fprintf(w, "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":%s}}]}\n\n", text)
	fmt.Fprint(w, "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
	fmt.Fprintf(w, "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],\"usage\":%s}\n\ndata: [DONE]\n\n", usage)
}

// A hello as a whole process, kept in the embedded store, beside one that is not kept: on a quiet machine it is to take less than 100 ms.
func BenchmarkHello(b *testing.B) {
	dir := b.TempDir()
	slop := filepath.Join(dir, "slop")
	if out, err := exec.Command("go", "build", "-o", slop, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	script := filepath.Join(dir, "hello.slop")
	if err := os.WriteFile(script, []byte("input name: string = \"world\"\necho \"Hello, <<name>>!\"\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, kind := range []string{"kept", "ephemeral"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(slop, "run", "-q", script)
				if kind == "ephemeral" {
					cmd.Args = append(cmd.Args, "--ephemeral")
				}
				cmd.Env = append(os.Environ(), "SLOP_HOME="+filepath.Join(dir, "home"), "SLOP_STATE=")
				begun := time.Now()
				out, err := cmd.Output()
				if err != nil || string(out) != "Hello, world!\n" {
					b.Fatalf("%q %v", out, err)
				}
				if took := time.Since(begun); took > 500*time.Millisecond {
					b.Logf("one took %v", took)
				}
			}
		})
	}
}
