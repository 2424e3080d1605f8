package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/slopstudios/slop/runtime/server"
)

// All who watch a run get all of it, in order, whether they are there from the beginning or come in the midst of it; what that takes is bounded.
func TestManyWatchers(t *testing.T) {
	watchers, steps := 60, 300
	if os.Getenv("SLOP_LONG") == "1" {
		watchers, steps = 1000, 10_000
	}
	w := newWorld(t)
	id := w.start(fmt.Sprintf("go = human.approve \"Go?\"\nrequire go == \"yes\" else \"no\"\nxs = map i in 1..%d limit 8 { echo \"<<i>>\" }\noutput len(xs)", steps))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var group sync.WaitGroup
	there := make(chan struct{}, watchers)
	for i := range watchers {
		group.Go(func() {
			if i%3 == 2 {
				time.Sleep(time.Duration(i) * time.Millisecond)
			}
			conn, _, err := websocket.Dial(t.Context(), w.url+"/events?run="+id, nil)
			if err != nil {
				t.Errorf("watcher %d: %v", i, err)
				there <- struct{}{}
				return
			}
			defer func() { _ = conn.CloseNow() }()
			conn.SetReadLimit(1 << 20)
			there <- struct{}{}
			next := 1.0
			for {
				_, text, err := conn.Read(t.Context())
				if err != nil {
					t.Errorf("watcher %d: after %v facts: %v", i, next-1, err)
					return
				}
				var v map[string]any
				if err := json.Unmarshal(text, &v); err != nil {
					t.Errorf("watcher %d: %v", i, err)
					return
				}
				seq, ok := v["seq"].(float64)
				if !ok {
					continue
				}
				if seq != next {
					t.Errorf("watcher %d: %v follows %v", i, seq, next-1)
					return
				}
				next++
				if v["kind"] == "finished" {
					if int(next) < steps {
						t.Errorf("watcher %d: only %v facts", i, next)
					}
					return
				}
			}
		})
	}
	for range watchers {
		<-there
	}
	w.want(200, "POST", "/workflows/"+id+"/answer", map[string]any{"step": "go", "value": "yes"})
	group.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 256<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
}

// A client that does not read is given up after a while, and nobody else waits for it.
func TestAClientThatDoesNotRead(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.WriteTime = 200 * time.Millisecond })
	long := strings.Repeat("x", 20_000)
	id := w.start(fmt.Sprintf("xs = map i in 1..400 limit 8 { echo \"<<i>>%s\" }\noutput len(xs)", long))
	conn, _, err := websocket.Dial(t.Context(), w.url+"/events?run="+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if seqs, _ := w.events(id, "", 0); len(seqs) < 400 {
		t.Errorf("another watcher saw %d facts", len(seqs))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for w.api.Streams() > 0 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("the client that does not read is still there")
	}
}
