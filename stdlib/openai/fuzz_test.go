package openai

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/model"
)

// pieces gives its bytes a few at a time, as networks do.
type pieces struct {
	rest []byte
	step int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.step)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Whatever a server sends, and however the network cuts it, it means the same; and without an end it is never an answer.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"data: {\"choices\":[{\"delta\":{\"content\":\"grün\"}}]}\n\ndata: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"content\":\"<think>a</think> b\"}}]}\r\n\r\ndata:[DONE]\r\n\r\n",
		"\n{\"choices\":[{\"message\":{\"content\":[{\"text\":\"a\"}]}}],\"usage\":{\"prompt_tokens\":1e300}}", "<html><script>x</script>no</html>",
		": hi\nevent: x\ndata: {\ndata: }\n\n", "data: {\"error\":{\"code\":\"429\",\"message\":7}}\n\n", "data: {\"choices\":[{\"delta\":{\"content\":\"</think>\"}}]}\n", "[1]", "", "\x00",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"get\",\"arguments\":\"{\"}}]}}]}\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":\"0\",\"id\":7,\"function\":{\"name\":\"get\",\"arguments\":{\"a\":1}}}]}}]}\n\ndata: [DONE]\n\n",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	a := New(Config{}).(*chat)
	tools := []model.Tool{{Name: "get"}}
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		read := func(step int) (model.Round, string) {
			var shown strings.Builder
			got := reader{emit: func(p agent.Progress) { shown.WriteString(p.Delta + p.Note) }, alive: func() {}}
			got.tools.known = func(name string) bool { return name == "get" }
			got.read(&http.Response{Body: io.NopCloser(&pieces{bytes.Clone(body), step})})
			return a.round(context.Background(), context.Background(), &got, model.Request{Tools: tools}, byWords), shown.String()
		}
		whole, shown := read(len(body) + 1)
		cut, shownCut := read(int(size) + 1)
		if !reflect.DeepEqual(whole, cut) || shown != shownCut {
			t.Errorf("%+v\n%+v", whole, cut)
		}
		if text := strings.ToLower(string(body)); whole.Outcome == "" && !strings.Contains(text, "finish_reason") && !strings.Contains(text, "[done]") && !strings.HasPrefix(strings.TrimLeft(text, " \r\n\t"), "{") {
			t.Errorf("an answer without an end: %+v", whole)
		}
	})
}
