//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// What slop runs and slop answer do with runs that are kept here they do with those of a server, and nothing of it is kept here.
func TestRunsOfAServer(t *testing.T) {
	s := newStory(t, "output 1\n")
	url, end := s.serve()
	server := strings.TrimSuffix(url, "/api/v1/agents")
	begin := func(script string) string {
		t.Helper()
		body, _ := json.Marshal(map[string]any{"script": script, "inputs": map[string]any{"who": "sea"}})
		answer, err := http.Post(url+"/workflows", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		var told struct{ ID string }
		if err := json.NewDecoder(answer.Body).Decode(&told); err != nil || told.ID == "" {
			t.Fatalf("%d: %v", answer.StatusCode, err)
		}
		return told.ID
	}
	id := begin("input who: string\na = echo \"hi <<who>>\"\nok = human.approve \"send <<a>>?\"\nrequire ok == \"yes\" else \"no\"\noutput \"sent <<a>>\"")
	says := func(code int, args []string, wants ...string) string {
		t.Helper()
		out, problems, got := s.slop(args...)
		if got != code {
			t.Errorf("slop %s: exit %d, not %d\n%s%s", strings.Join(args, " "), got, code, out, problems)
		}
		for _, want := range wants {
			if !strings.Contains(out+problems, want) {
				t.Errorf("slop %s: no %q in\n%s%s", strings.Join(args, " "), want, out, problems)
			}
		}
		return out
	}
	says(0, []string{"runs", "--server", server}, id, "waiting")
	says(0, []string{"runs", "show", "--server", server, id[:20]}, "send hi sea?", "the server is at work on it", "slop answer --server "+server)
	says(0, []string{"runs", "pause", "--server", server, id}, "paused")
	says(0, []string{"runs", "resume", "--server", server, id}, "the server")
	says(2, []string{"answer", "--server", server, id, "ok", "perhaps"})
	says(0, []string{"answer", "--server", server, id, "ok", "approve"})
	says(0, []string{"runs", "logs", "-f", "--server", server, id}, "run succeeded")
	says(0, []string{"runs", "events", "-f", "--server", server, id}, `"event":"agent:workflow:completed"`, `"value":"sent hi sea"`)
	says(0, []string{"runs", "show", "--server", server, id, "--json"}, `"output": "sent hi sea"`)
	exported := says(0, []string{"runs", "export", "--server", server, id}, `"slop.run/1"`)
	if len(exported) < 500 {
		t.Error("the exported run is short")
	}
	fork := strings.TrimSpace(says(0, []string{"runs", "fork", "--server", server, id, "-i", "who=moon"}, "done again"))
	fork = strings.Split(fork, "\n")[0]
	says(0, []string{"runs", "diff", "--server", server, id, fork}, "who")
	says(0, []string{"runs", "cancel", "--server", server, "-m", "enough", fork}, "cancelled")
	says(2, []string{"runs", "cancel", "--server", server, id}, "ended already")
	says(2, []string{"runs", "show", "--server", server, "nothing"}, "there is no run")
	says(2, []string{"runs", "--server", server, "--state", "x"}, "two places")
	says(2, []string{"runs", "--server", "nonsense"}, "no address of a server")
	end()
	says(7, []string{"runs", "--server", server}, "does not answer")
}
