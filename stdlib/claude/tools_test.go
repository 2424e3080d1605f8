//go:build unix

package claude_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// Claude uses tools through the API: what it said goes back as it came, its signed thinking too, and the answers in one message. What all rounds used is summed up.
func TestToolsOfTheAPI(t *testing.T) {
	wants := sse(start,
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"I look."}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`, shut,
		`{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Let me look."}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"github__search","input":{}}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\": \"TO"}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"DO\"}"}}`,
		`{"type":"content_block_stop","index":2}`,
		`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"files__read","input":{}}}`,
		`{"type":"content_block_stop","index":3}`,
		end("tool_use"), stop)
	s := serve(t, wants, wants, whole(`{"score":8}`))
	s.config.Price = &types.Price{Input: 1, Output: 1, CacheRead: 1, CacheWrite: 1}
	input := json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","pattern":"^T"}},"required":["query"]}`)
	var used []string
	c := &agent.Call{
		As: &types.Type{Kind: types.Record, Fields: []types.Field{{Name: "score", Type: types.Type{Kind: types.Int}}}},
		Callee: &types.Signature{Name: "claude", Effect: types.Do, Rounds: 2, Tools: []types.Tool{
			{Name: "files.read", Effect: types.Read, Input: json.RawMessage(`{"type":"object"}`)}, {Name: "github.search", Doc: "Searches.", Effect: types.Do, Input: input},
		}},
		Use: func(_ context.Context, u agent.Use) agent.Reply {
			args, _ := json.Marshal(u.Args)
			used = append(used, u.ID+" "+u.Tool+string(args))
			if u.Tool == "files.read" {
				return agent.Fail(run.Failure, "there is no such file")
			}
			return agent.Reply{Value: map[string]any{"hits": 2}}
		},
	}
	r, shown := s.call(t.Context(), c)
	want(t, r, "")
	if m, ok := r.Value.(map[string]any); !ok || m["score"] != 8 || r.AgentID != "msg_1" {
		t.Errorf("%+v", r)
	}
	if got := strings.Join(used, ", "); got != `toolu_1 github.search{"query":"TODO"}, toolu_2 files.read{}, toolu_1 github.search{"query":"TODO"}, toolu_2 files.read{}` {
		t.Errorf("used %s", got)
	}
	if !strings.Contains(shown, "[thinking]") {
		t.Errorf("shown %q", shown)
	}
	if want := (run.Usage{Calls: 1, Input: 300, Output: 30, CacheRead: 3000, CacheWrite: 30, Tokens: run.Reported, Cost: 3360, CostSource: run.Estimated, Model: r.Usage.Model}); r.Usage != want {
		t.Errorf("%+v", r.Usage)
	}
	var first, last struct {
		Tools      json.RawMessage
		Messages   []json.RawMessage
		ToolChoice json.RawMessage `json:"tool_choice"`
		Output     json.RawMessage `json:"output_config"`
	}
	if err := json.Unmarshal([]byte(s.bodies[0]), &first); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(s.bodies[2]), &last); err != nil {
		t.Fatal(err)
	}
	if !same(string(first.Tools), `[{"name":"files__read","input_schema":{"type":"object"}},{"name":"github__search","description":"Searches.","input_schema":`+string(input)+`}]`) || first.ToolChoice != nil {
		t.Errorf("offered %s", first.Tools)
	}
	if string(last.Tools) != string(first.Tools) || !same(string(last.ToolChoice), `{"type":"none"}`) || last.Output == nil {
		t.Errorf("the last request is %s", s.bodies[2])
	}
	if len(last.Messages) != 5 {
		t.Fatalf("%s", s.bodies[2])
	}
	for i, want := range []string{
		`{"role":"assistant","content":[{"type":"thinking","thinking":"I look.","signature":"c2ln"},{"type":"text","text":"Let me look."},{"type":"tool_use","id":"toolu_1","name":"github__search","input":{"query":"TODO"}},{"type":"tool_use","id":"toolu_2","name":"files__read","input":{}}]}`,
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":false,"content":[{"type":"text","text":"{\"hits\":2}"}]},{"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":[{"type":"text","text":"error: there is no such file"}]}]}`,
	} {
		if got := string(last.Messages[i+1]); !same(got, want) {
			t.Errorf("message %d is %s", i+1, got)
		}
	}
}
