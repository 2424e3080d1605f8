package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// What the examples of deployment start is a command that there is.
func TestDeployExamples(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../examples/deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var lines [][]string
	docker := read("Dockerfile")
	var command []string
	if err := json.Unmarshal([]byte(regexp.MustCompile(`(?m)^CMD (.*)$`).FindStringSubmatch(docker)[1]), &command); err != nil {
		t.Fatal(err)
	}
	lines = append(lines, command)
	if !strings.Contains(docker, "\nUSER nonroot\n") {
		t.Error("the image runs as root")
	}
	var compose struct {
		Services map[string]struct {
			Image   string
			Command []string
		}
	}
	if err := yaml.Unmarshal([]byte(read("compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	for name, s := range compose.Services {
		if s.Image == "" && len(s.Command) > 0 {
			lines = append(lines, s.Command)
		}
		if name == "redis" && !strings.Contains(strings.Join(s.Command, " "), "--appendonly yes") {
			t.Error("Redis keeps nothing")
		}
	}
	unit := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/slop (.*)$`).FindStringSubmatch(read("slop.service"))
	lines = append(lines, strings.Fields(unit[1]))
	for _, text := range []string{docker, read("compose.yaml")} {
		for _, said := range regexp.MustCompile(`(?m)^#.* slop ((?:token|serve|worker)\b.*)$`).FindAllStringSubmatch(text, -1) {
			lines = append(lines, strings.Fields(said[1]))
		}
	}
	if len(lines) < 5 {
		t.Errorf("only %d commands were found", len(lines))
	}
	for _, line := range lines {
		parser, err := kong.New(&grammar{}, kong.Name("slop"), kong.Exit(func(int) {}), kong.Bind(newConsole()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(line); err != nil {
			t.Errorf("slop %s: %v", strings.Join(line, " "), err)
		}
	}
}
