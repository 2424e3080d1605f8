package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/run"
)

// A log line is for people who look for what went wrong, and no place for a secret.
func TestLogger(t *testing.T) {
	h := &host{secrets: []string{"hunter22", "‹secret token›"}}
	var out strings.Builder
	log := h.logger(&out)
	log.Warn("hunter22 is out", "run", run.ID("0x"), "by", "hunter22", "error", errors.New("no room for hunter22"), "tries", 2)
	got := out.String()
	if strings.Contains(got, "hunter22") || strings.Count(got, "‹secret token›") != 3 || !strings.Contains(got, "run=0x") || !strings.Contains(got, "tries=2") {
		t.Errorf("got %s", got)
	}
	if h.logger(nil) != nil {
		t.Error("nobody wants to hear it, and there is a logger")
	}
}
