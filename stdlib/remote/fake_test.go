package remote_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary play the programs of these tests: well-behaved ones and others.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "play" {
		play(os.Args[2], os.Args[3])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

type object = map[string]any

var output sync.Mutex

func say(o object) {
	line, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	raw(string(line) + "\n")
}

func raw(text string) {
	output.Lock()
	defer output.Unlock()
	os.Stdout.WriteString(text)
}

func hello(more object) object {
	o := object{
		"type": "hello", "protocol": 1, "name": "fake", "version": "1", "concurrency": 8,
		"capabilities": []any{
			object{
				"name": "", "text": "text", "effect": "read", "doc": "Says what it is told.", "secrets": []string{"token"},
				"input": object{"type": "object", "properties": object{
					"text": object{"type": "string"}, "token": object{"type": "string"}, "count": object{"type": "integer"},
				}, "required": []string{"text"}},
				"output":   object{"type": "string"},
				"examples": []any{object{"args": object{"text": "hi"}}},
			},
			object{"name": "think", "text": "text", "effect": "think", "structured": true, "input": object{"type": "object", "properties": object{"text": object{"type": "string"}}}},
		},
	}
	for k, v := range more {
		o[k] = v
	}
	return o
}

// play is a program. What it does wrong is its role; what a call asks for is its text.
func play(role, notes string) {
	if notes != "" {
		os.WriteFile(filepath.Join(notes, "pid-"+strconv.Itoa(os.Getpid())), nil, 0o600)
	}
	switch role {
	case "mute":
		time.Sleep(time.Hour)
	case "quits":
		fmt.Fprintln(os.Stderr, "no licence found")
		os.Exit(3)
	case "future":
		say(hello(object{"protocol": 2}))
	case "babbles":
		raw("Loading model …\nready in 3 s\n\n")
	case "bare":
		say(hello(object{"capabilities": []any{}}))
	case "endless":
		chunk := strings.Repeat("x", 1<<20)
		for range 40 {
			raw(chunk)
		}
		time.Sleep(time.Hour)
	case "noise":
		for i := range 100_000 {
			raw(fmt.Sprintf("noise %d\n", i))
		}
		time.Sleep(time.Hour)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "stray":
		child := exec.Command("sleep", "300")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		os.WriteFile(filepath.Join(notes, "child"), []byte(strconv.Itoa(child.Process.Pid)), 0o600)
	}
	greeting := hello(nil)
	switch role {
	case "beats", "dumb":
		greeting["heartbeat"] = 0.1
	case "single":
		greeting["concurrency"] = 1
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	cancelled := map[string]chan struct{}{}
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			if role == "deaf" {
				select {}
			}
			return
		}
		var m object
		if json.Unmarshal(line, &m) != nil {
			raw("what?\n")
			continue
		}
		id, _ := m["id"].(string)
		switch m["type"] {
		case "hello":
			say(greeting)
			if role == "leaves" {
				return
			}
			if role == "clogged" {
				time.Sleep(time.Hour)
			}
		case "ping":
			if role != "dumb" {
				say(object{"type": "pong", "n": m["n"]})
			}
		case "cancel":
			if c := cancelled[id]; c != nil && role != "deaf" {
				close(c)
				delete(cancelled, id)
			}
		case "call":
			c := make(chan struct{})
			cancelled[id] = c
			go serve(role, id, m, c)
		}
	}
}

func serve(role, id string, m object, cancelled chan struct{}) {
	args, _ := m["args"].(object)
	text, _ := args["text"].(string)
	result := func(v any) {
		say(object{"type": "result", "id": id, "value": v})
		if role == "doubles" {
			say(object{"type": "result", "id": id, "value": v})
		}
	}
	if role == "lies" {
		result(42)
		return
	}
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "echo":
		result(rest)
	case "all":
		delete(m, "id")
		line, _ := json.Marshal(m)
		result(string(line))
	case "env":
		result(os.Getenv(rest))
	case "pid":
		result(strconv.Itoa(os.Getpid()))
	case "folder":
		dir, _ := os.Getwd()
		result(dir)
	case "big":
		result(strings.Repeat("ü", 3<<20/2))
	case "split": // in the middle of a character
		line := `{"type":"result","id":"` + id + `","value":"grün"}` + "\n"
		cut := strings.Index(line, "ü") + 1
		output.Lock()
		defer output.Unlock()
		os.Stdout.WriteString(line[:cut])
		time.Sleep(20 * time.Millisecond)
		os.Stdout.WriteString(line[cut:])
	case "progress":
		say(object{"type": "progress", "id": id, "delta": "a"})
		say(object{"type": "progress", "id": id, "note": "half way"})
		say(object{"type": "usage", "id": id, "usage": object{"input": 10, "output": 1}})
		say(object{"type": "usage", "id": id, "usage": object{"input": 10, "output": 5, "cost": 0.25, "model": "m"}})
		result("done")
	case "twice":
		result("first")
		result("second")
	case "others":
		say(object{"type": "result", "id": "c999", "value": "not yours"})
		say(object{"type": "progress", "id": "nobody", "delta": "x"})
		say(object{"type": "later", "id": id})
		result("mine")
	case "fail":
		say(object{"type": "error", "id": id, "outcome": rest, "message": "because", "retryAfter": 2.5})
	case "ask":
		if a, ok := m["answer"].(object); ok {
			result(fmt.Sprint(a["token"], " ", a["value"]))
			return
		}
		say(object{"type": "ask", "id": id, "form": object{"text": "Really?", "choices": []string{"yes", "no"}}, "token": "t1"})
	case "die":
		fmt.Fprintln(os.Stderr, "out of memory")
		os.Exit(137)
	case "hang":
		select {
		case <-cancelled:
			say(object{"type": "error", "id": id, "outcome": "cancelled", "message": "as you wish", "usage": object{"input": 7}})
		case <-time.After(time.Hour):
		}
	case "ignore": // the cancel
	case "flood":
		note := strings.Repeat("n", 100_000)
		for range 2000 {
			say(object{"type": "progress", "id": id, "note": note})
		}
		result("flooded")
	case "token":
		result(args["token"])
	default:
		result(text)
	}
}
