package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// recorded are the listings of real servers, as they were seen once, and the packages that they come in.
var recorded = map[string]string{
	"everything": "@modelcontextprotocol/server-everything@2026.8.31",
	"filesystem": "@modelcontextprotocol/server-filesystem@2026.8.31",
	"memory":     "@modelcontextprotocol/server-memory@2026.8.31",
}

func recording(t *testing.T, name string) *Listing {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	f := listingFile{Listing: &Listing{}}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	if err := f.sound(); err != nil {
		t.Fatal(err)
	}
	for i := range f.Tools {
		t := &f.Tools[i]
		if t.Input = canonical(t.Input); t.Output != nil {
			t.Output = canonical(t.Output)
		}
	}
	return f.Listing
}

// What scripts see of real servers. Golden files say how.
func TestRecordedListings(t *testing.T) {
	for name := range recorded {
		c := Config{Name: name, Trusted: true}
		var b strings.Builder
		for _, tool := range c.tools(recording(t, name)) {
			s := tool.signature
			fmt.Fprintf(&b, "%s %s", s.Effect, s.Name)
			if s.Idempotent {
				b.WriteString(" idempotent")
			}
			for _, p := range s.Params {
				word := p.Name + ": " + p.Type.String()
				if p.Required {
					word += "!"
				}
				if p.Name == s.Primary {
					word = "\"" + word + "\""
				}
				b.WriteString("\n  " + word)
			}
			fmt.Fprintf(&b, "\n  -> %s\n", s.Result)
			if (tool.output == nil) != (len(tool.Output) == 0) {
				t.Errorf("%s: the schema of its output is not understood", s.Name)
			}
		}
		golden := filepath.Join("testdata", name+".golden")
		if langtest.Golden() {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Error(diff)
		}
	}
}

// The real servers, from the registry of npm, in a folder of this test. With SLOP_LONG=1 only: it downloads them. `make golden` records them anew.
func TestRealServers(t *testing.T) {
	if os.Getenv("SLOP_LONG") == "" {
		t.Skip("it downloads servers: SLOP_LONG=1")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is missing: install Node.js to test against the real MCP servers")
	}
	folder := t.TempDir()
	args := []string{"install", "--no-audit", "--no-fund", "--prefix", folder}
	for _, pkg := range recorded {
		args = append(args, pkg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "npm", args...).CombinedOutput(); err != nil {
		t.Fatalf("npm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "a.txt"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name := range recorded {
		command := []string{filepath.Join(folder, "node_modules", ".bin", "mcp-server-"+name)}
		if name == "filesystem" {
			command = append(command, work)
		}
		s := New(Config{Name: name, Command: command, Folder: work, Trusted: true, Log: filepath.Join(t.TempDir(), "log")})
		t.Cleanup(func() { _ = s.Close() })
		got, err := s.Learn(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if langtest.Golden() {
			data, _ := json.MarshalIndent(listingFile{listingsKind, got}, "", " ")
			if err := os.WriteFile(filepath.Join("testdata", name+".json"), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(recording(t, name), got); diff != "" {
			t.Errorf("%s lists other tools than those recorded (make golden records them):\n%s", name, diff)
		}
		signatures := map[string]types.Signature{}
		for _, sig := range s.Signatures() {
			signatures[sig.Name] = sig
		}
		call := func(tool string, args map[string]any, answer *run.Answer) agent.Reply {
			sig, ok := signatures[name+"."+tool]
			if !ok {
				t.Fatalf("%s has no tool %s", name, tool)
			}
			return s.Call(t.Context(), &agent.Call{Callee: &sig, Args: args, Answer: answer, Emit: func(agent.Progress) {}})
		}
		want := func(r agent.Reply, text string) {
			t.Helper()
			raw, _ := json.Marshal(r.Value)
			if r.Outcome != "" || !strings.Contains(string(raw), text) {
				t.Errorf("%s: %s %s %.500s", name, r.Outcome, r.Message, raw)
			}
		}
		switch name {
		case "everything":
			want(call("get_sum", map[string]any{"a": 2, "b": 40}, nil), "42")
			want(call("get_structured_content", map[string]any{"location": "Chicago"}, nil), "temperature")
			want(call("get_tiny_image", nil, nil), "image-2.png")
			asked := call("trigger_elicitation_request", nil, nil)
			if asked.Outcome != run.Asks || len(asked.Form.Type.Fields) < 3 {
				t.Fatalf("it asks %+v", asked)
			}
			want(call("trigger_elicitation_request", nil, &run.Answer{Token: asked.Token, Value: map[string]any{"name": "Ada", "check": true}}), "Ada")
		case "filesystem":
			want(call("read_text_file", map[string]any{"path": filepath.Join(work, "a.txt")}, nil), "hello")
			if r := call("read_text_file", map[string]any{"path": "/etc/hostname"}, nil); r.Outcome != run.Failure || !strings.Contains(r.Message, "denied") {
				t.Errorf("it reads elsewhere: %+v", r)
			}
		case "memory":
			want(call("read_graph", nil, nil), "entities")
		}
	}
}
