package outcome

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

func TestOf(t *testing.T) {
	for status, want := range map[int]run.Outcome{
		400: run.Failure, 401: run.Denied, 402: run.Denied, 403: run.Denied, 404: run.Failure, 408: run.Unavailable, 413: run.Failure, 422: run.Failure,
		429: run.RateLimited, 500: run.Unavailable, 502: run.Unavailable, 529: run.Unavailable,
	} {
		if got := Of(status); got != want {
			t.Errorf("%d is %q, want %q", status, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second}, {"Retry-After", "0.5", 500 * time.Millisecond}, {"Retry-After", "Fri, 02 Jan 2026 03:04:35 GMT", 30 * time.Second},
		{"Retry-After", "Fri, 02 Jan 2026 03:04:00 GMT", 0}, {"Retry-After", "soon", 0}, {"Retry-After", "-1", 0}, {"Retry-After", "NaN", 0},
		{"Retry-After", "1e300", maxRetryAfter}, {"Retry-After-Ms", "250", 250 * time.Millisecond}, {"X", "1", 0},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		if got := RetryAfter(h, now); got != c.want {
			t.Errorf("%s: %s is %v, want %v", c.name, c.value, got, c.want)
		}
	}
}

func TestEnded(t *testing.T) {
	if _, ended := Ended(t.Context()); ended {
		t.Error("a live context has not ended")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if r, _ := Ended(ctx); r.Outcome != run.Timeout {
		t.Errorf("%+v", r)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if r, _ := Ended(ctx); r.Outcome != run.Stopped {
		t.Errorf("%+v", r)
	}
}

func TestSecretsAreBlackedOut(t *testing.T) {
	s := NewSecrets(func(name string) (string, error) {
		if name == "missing" {
			return "", errors.New("not set")
		}
		return map[string]string{"a": "p+ss", "b": "p+ss word"}[name], nil
	})
	v, err := s.Open(map[string]any{"x": types.Parts{"Bearer ", types.Secret{Name: "a"}}, "y": types.Secret{Name: "b"}})
	if fmt.Sprint(v) != "map[x:Bearer p+ss y:p+ss word]" || err != nil {
		t.Fatalf("%v %v", v, err)
	}
	if got := s.Black("p+ss word, p+ss, p%2Bss"); got != "‹secret b›, ‹secret a›, ‹secret a›" {
		t.Error(got)
	}
	if _, err := s.Open(types.Secret{Name: "missing"}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Error(err)
	}
}

func TestBrief(t *testing.T) {
	for _, c := range []struct {
		text string
		max  int
		tail bool
		want string
	}{
		{" a\x1b[31mb\n", 10, false, "a[31mb"}, {"grün", 3, false, "gr …"}, {"grün", 2, true, "… n"}, {"a\xffb", 9, false, "a�b"}, {"", 3, true, ""},
	} {
		if got := Brief(c.text, c.max, c.tail); got != c.want {
			t.Errorf("%q is %q, want %q", c.text, got, c.want)
		}
	}
}
