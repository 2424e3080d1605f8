package claude

import (
	"context"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/model"
	"github.com/slopstudios/slop/stdlib/process"
)

// Whatever the program prints, and however the system cuts it into pieces, it means the same; and without a result line it is never an answer.
func FuzzTold(f *testing.F) {
	for _, seed := range []string{
		`{"type":"system","subtype":"init","session_id":"s","tools":[],"model":"m"}` + "\n" + `{"type":"result","subtype":"success","result":"grün"}` + "\n",
		`{"type":"result","is_error":true,"result":"limit reached|1700000000","modelUsage":{"m":{"inputTokens":1}}}`,
		"garbage\n\n{}\n" + `{"type":"assistant","message":{"content":[{"type":"text","text":"x"}]},"error":7}`,
		`{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}}` + "\n",
		`{"type":"result","subtype":"success","result":{"a":1},"total_cost_usd":1e300,"permission_denials":"none"}`,
		`{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1e99}}` + "\n" + `{"type":"result","is_error":true,"api_error_status":429}`,
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, out []byte, size uint8) {
		read := func(step int) (agent.Reply, string) {
			var shown strings.Builder
			_, stop := context.WithCancelCause(context.Background())
			told := &teller{emit: func(p agent.Progress) { shown.WriteString(p.Delta + p.Note) }, abort: stop}
			for rest := out; len(rest) > 0; {
				n := min(step, len(rest))
				told.write(rest[:n])
				rest = rest[n:]
			}
			return told.end().reply(process.Result{}, model.Request{}, false, nil), shown.String()
		}
		whole, shown := read(len(out) + 1)
		pieces, shownInPieces := read(int(size) + 1)
		whole.RetryAfter, pieces.RetryAfter = 0, 0 // counted from now
		if whole != pieces || shown != shownInPieces {
			t.Errorf("%+v\n%+v", whole, pieces)
		}
		if whole.Outcome == "" && !strings.Contains(string(out), "result") {
			t.Errorf("an answer without a result: %+v", whole)
		}
	})
}
