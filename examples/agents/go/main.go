// Command go is an agent in Go, with nothing but the standard library: it counts words, slowly if asked to.
//
//	[agents.words]
//	use = "program"
//	command = ["./words"]        # go build -o words .
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// message has the fields of the protocol that this agent needs (spec/agent-protocol.md).
type message struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	N          int64          `json:"n"`
	Capability string         `json:"capability"`
	Args       map[string]any `json:"args"`
}

const hello = `{"type":"hello","protocol":1,"name":"words","version":"1.0","concurrency":8,"heartbeat":10,"capabilities":[
{"name":"count","doc":"Counts words.","effect":"read","text":"text",
 "input":{"type":"object","properties":{"text":{"type":"string"},"seconds":{"type":"number","description":"how long to take"}},"required":["text"]},
 "output":{"type":"object","properties":{"words":{"type":"integer"}},"required":["words"]},
 "examples":[{"args":{"text":"one two three"}},{"args":{"text":"take your time","seconds":0.2}}]}]}`

var (
	mu      sync.Mutex // guards both
	running = map[string]context.CancelFunc{}
)

func say(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	mu.Lock()
	defer mu.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

func main() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return // slop is done with us
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			fmt.Fprintln(os.Stderr, "not a message:", err) // standard error is for people
			continue
		}
		switch m.Type {
		case "hello":
			say(json.RawMessage(hello))
		case "ping":
			say(map[string]any{"type": "pong", "n": m.N})
		case "cancel":
			mu.Lock()
			if cancel := running[m.ID]; cancel != nil {
				cancel()
			}
			mu.Unlock()
		case "call":
			ctx, cancel := context.WithCancel(context.Background())
			mu.Lock()
			running[m.ID] = cancel
			mu.Unlock()
			go func() {
				serve(ctx, m)
				cancel()
				mu.Lock()
				delete(running, m.ID)
				mu.Unlock()
			}()
		}
	}
}

// serve makes one call. Whatever happens, it says result or error once.
func serve(ctx context.Context, m message) {
	fail := func(outcome, why string) {
		say(map[string]any{"type": "error", "id": m.ID, "outcome": outcome, "message": why})
	}
	if m.Capability != "count" {
		fail("error", "there is no capability "+m.Capability)
		return
	}
	text, _ := m.Args["text"].(string)
	if seconds, ok := m.Args["seconds"].(float64); ok {
		say(map[string]any{"type": "progress", "id": m.ID, "note": "counting slowly"})
		select {
		case <-time.After(time.Duration(seconds * float64(time.Second))):
		case <-ctx.Done():
			fail("cancelled", "stopped counting")
			return
		}
	}
	say(map[string]any{"type": "result", "id": m.ID, "value": map[string]any{"words": len(strings.Fields(text))}})
}
