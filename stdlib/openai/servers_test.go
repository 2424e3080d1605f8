package openai_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// seen is what a call comes to, and what a server is sent after it asked for tools.
type seen struct {
	Value   any            `json:"value,omitempty"`
	Outcome run.Outcome    `json:"outcome,omitempty"`
	Message string         `json:"message,omitempty"`
	Shown   string         `json:"shown,omitempty"`
	Notes   []string       `json:"notes,omitempty"`
	Uses    []string       `json:"uses,omitempty"`
	Back    []any          `json:"back,omitempty"` // the messages behind the prompt
	Usage   map[string]any `json:"usage"`
}

// Every server has ways of its own (testdata/*.txtar, made after what each documents and its users report); what they mean is the same. A file holds answers: NAME.sse is a stream,
// NAME.body a whole answer, NAME.429 one with that status, and NAME.want what it comes to. SLOP_GOLDEN=1 writes the latter anew.
func TestServers(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 13 {
		t.Fatalf("there are %d servers (%v)", len(files), err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wants := map[string][]byte{}
		var answers []txtar.File
		for _, f := range archive.Files {
			if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
				wants[name] = f.Data
			} else {
				answers = append(answers, f)
			}
		}
		server := strings.TrimSuffix(path.Base(file), ".txtar")
		golden := &txtar.Archive{Comment: archive.Comment}
		for _, f := range answers {
			name := strings.TrimSuffix(f.Name, path.Ext(f.Name))
			t.Run(server+"/"+name, func(t *testing.T) {
				got, err := json.MarshalIndent(meet(t, f), "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				got = append(unescape(got), '\n')
				golden.Files = append(golden.Files, f, txtar.File{Name: name + ".want", Data: got})
				if os.Getenv("SLOP_GOLDEN") == "" && !bytes.Equal(got, wants[name]) {
					t.Errorf("it comes to\n%s\nnot to\n%s", got, wants[name])
				}
			})
		}
		if os.Getenv("SLOP_GOLDEN") != "" {
			if err := os.WriteFile(file, txtar.Format(golden), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// unescape undoes what encoding/json does for HTML.
func unescape(text []byte) []byte {
	for escaped, plain := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"} {
		text = bytes.ReplaceAll(text, []byte(escaped), []byte(plain))
	}
	return text
}

// meet calls a server that answers so at first; once it was told what its tools gave, it ends well.
func meet(t *testing.T, f txtar.File) *seen {
	t.Helper()
	asked := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked > 1 {
			stream(delta("done"), stop, done)(w, r)
			return
		}
		switch ext := path.Ext(f.Name); ext {
		case ".sse":
			w.Header().Set("Content-Type", "text/event-stream")
		case ".body":
			w.Header().Set("Content-Type", "application/json")
		default:
			status, err := strconv.Atoi(ext[1:])
			if err != nil {
				t.Errorf("%s is no answer", f.Name)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
		}
		io.Copy(w, bytes.NewReader(f.Data))
	})
	out := &seen{}
	c := toolCall(func(_ context.Context, u agent.Use) agent.Reply {
		args, _ := json.Marshal(u.Args)
		out.Uses = append(out.Uses, fmt.Sprintf("%s: %s %s", u.ID, u.Tool, args))
		return agent.Reply{Value: "found by " + u.Tool}
	})
	if strings.HasPrefix(f.Name, "json.") {
		c.As = &review
	}
	r := s.call(t.Context(), c)
	out.Value, out.Outcome, out.Shown, out.Notes = r.Value, r.Outcome, s.shown.String(), s.notes
	out.Message = strings.ReplaceAll(r.Message, strings.TrimSuffix(strings.TrimPrefix(s.config.BaseURL, "http://"), "/v1/"), "HOST")
	slices.Sort(out.Uses)
	raw, _ := json.Marshal(r.Usage)
	json.Unmarshal(raw, &out.Usage)
	if len(out.Uses) > 0 {
		out.Back = s.bodies[len(s.bodies)-1]["messages"].([]any)[1:]
	}
	return out
}

// toolCall is a call of a model that may search and read.
func toolCall(use func(context.Context, agent.Use) agent.Reply) *agent.Call {
	input := json.RawMessage(`{"type":"object","properties":{"query":{"type":"string"}}}`)
	return &agent.Call{Text: "Hi", Use: use, Callee: &types.Signature{Name: "m", Rounds: 2, Tools: []types.Tool{
		{Name: "files.read", Use: "files.read", Effect: types.Read, Input: input},
		{Name: "github.search", Use: "github.search", Effect: types.Do, Doc: "Searches.", Input: input},
	}}}
}
