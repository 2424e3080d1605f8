package server_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/server"
)

// Every command of spec/server.md is run, in its order, in one shell; none may fail or be answered with a problem, unless the guide says so.
func TestTheGuide(t *testing.T) {
	text, err := os.ReadFile("../../spec/server.md")
	if err != nil {
		t.Fatal(err)
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("the commands of the guide want curl: apt-get install curl")
	}
	w := newWorld(t)
	var script strings.Builder
	script.WriteString("set -eu\ncurl() { printf '\\n%s\\n' '== curl'; " + curl + " --fail-with-body --max-time 60 \"$@\"; }\n")
	count := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		body := strings.ReplaceAll(block[1], "=$(curl ", "=$("+curl+" ")
		script.WriteString(body)
		count += strings.Count(block[1], "curl ")
	}
	if count < 10 {
		t.Fatalf("only %d commands were found", count)
	}
	c := exec.CommandContext(t.Context(), "sh", "-c", script.String())
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), "SERVER="+strings.TrimSuffix(w.url, server.Root))
	out, err := c.CombinedOutput()
	if err != nil || strings.Contains(string(out), "urn:slop:problem") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{`"output":"hello sea"`, `"output":"sent"`, "event: agent:workflow:completed", `"status":"paused"`, `"tags":["letters"]`, `"content":"Say hello to Ada!"`, `"output":"Say hello to Ada!"`, `"output":"hi Bo"`, `"output":"hi Cy"`, `"output":"words.txt: one two"`, `did you mean`, `"output":"hello agent"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
}
