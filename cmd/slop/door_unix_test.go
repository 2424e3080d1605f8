//go:build unix

package main

import (
	"bufio"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve starts a server and gives where its API is, and a way to end it, after which said is all that it said.
func (s *story) serve(args ...string) (url string, end func() (said string)) {
	s.t.Helper()
	cmd := s.command(append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	told, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var all strings.Builder
	lines := bufio.NewScanner(told)
	for url == "" && lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if _, rest, ok := strings.Cut(lines.Text(), "slop serves "); ok {
			url, _, _ = strings.Cut(rest, " ")
		}
	}
	ended := make(chan struct{})
	go func() {
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
		}
		close(ended)
	}()
	over := false
	end = func() string {
		if !over {
			over = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
			if err := cmd.Wait(); err != nil {
				s.t.Errorf("the server ends with %v\n%s", err, all.String())
			}
		}
		return all.String()
	}
	s.t.Cleanup(func() { end() })
	if url == "" {
		s.t.Fatalf("it does not serve: %s", end())
	}
	return url, end
}

// status asks with a token and gives the status of the answer.
func status(t *testing.T, method, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// While there is no token a server asks programs of this machine nothing. Once there is one it asks everybody, and a token that is revoked by a command beside it
// lets nobody in any more. What it says holds no token.
func TestServerWithTokens(t *testing.T) {
	s := newStory(t, "output 1\n")
	url, end := s.serve("-v")
	if got := status(t, "GET", url+"/workflows", ""); got != 200 {
		t.Errorf("without tokens: %d", got)
	}
	if said := end(); !strings.Contains(said, "for programs of this machine") {
		t.Errorf("it says\n%s", said)
	}
	token, _, _ := s.slop("token", "create", "--role", "viewer", "--expires", "1h")
	token = strings.TrimSpace(token)
	id := strings.Split(token, "_")[1]
	url, end = s.serve("-v")
	for _, ask := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/workflows", "", 401}, {"GET", "/workflows", token, 200}, {"POST", "/workflows", token, 403}, {"GET", "/workflows?token=" + token, "", 401},
		{"GET", "/health", "", 200}, {"GET", "/workflows", token[:len(token)-1], 401},
	} {
		if got := status(t, ask.method, url+ask.path, ask.token); got != ask.want {
			t.Errorf("%s %s: %d, not %d", ask.method, ask.path, got, ask.want)
		}
	}
	s.want(0, "", "token", "revoke", id)
	for deadline := time.Now().Add(10 * time.Second); status(t, "GET", url+"/workflows", token) != 401; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a revoked token still lets in")
		}
	}
	if said := end(); strings.Contains(said, token[14:30]) || !strings.Contains(said, "with a token") {
		t.Errorf("it says\n%s", said)
	}
}
