package openai_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/openai"
)

// found is what an agent finds out, one line each: "! what: said → mend" where calls will fail.
func found(t *testing.T, at func(context.Context, func(agent.Finding))) string {
	t.Helper()
	var b strings.Builder
	at(t.Context(), func(f agent.Finding) {
		if f.Wrong {
			b.WriteString("! ")
		}
		fmt.Fprintf(&b, "%s: %s", f.What, f.Said)
		if f.Mend != "" {
			b.WriteString(" → " + f.Mend)
		}
		b.WriteString("\n")
	})
	if strings.Contains(b.String(), canary) {
		t.Errorf("leaked: %s", b.String())
	}
	return b.String()
}

func TestExamine(t *testing.T) {
	models := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v1/models" {
				t.Errorf("%s %s costs something", r.Method, r.URL.Path)
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	three := `{"object":"list","data":[{"id":"gpt-5.2"},{"id":"gpt-5.2-mini"},{"id":"qwen3:latest"}]}`
	for name, c := range map[string]struct {
		model  string
		answer http.HandlerFunc
		key    func() (string, error)
		want   string
	}{
		"all well":      {"gpt-5.2", models(200, three), nil, "key: OPENAI_API_KEY is set\nendpoint: URL\nmodel: gpt-5.2\n"},
		"latest":        {"qwen3", models(200, three), nil, "key: OPENAI_API_KEY is set\nendpoint: URL\nmodel: qwen3\n"},
		"a typo":        {"gtp-5.2", models(200, three), nil, "key: OPENAI_API_KEY is set\nendpoint: URL\n! model: HOST has no model gtp-5.2 → did you mean gpt-5.2? There are: gpt-5.2, gpt-5.2-mini, qwen3:latest\n"},
		"another model": {"claude", models(200, three), nil, "key: OPENAI_API_KEY is set\nendpoint: URL\n! model: HOST has no model claude → set model to one of: gpt-5.2, qwen3:latest, gpt-5.2-mini\n"},
		"none named":    {"", models(200, three), nil, "key: OPENAI_API_KEY is set\nendpoint: URL\nmodel: none is named, so each call must name one → set model in slop.toml; there are gpt-5.2, gpt-5.2-mini, qwen3:latest\n"},
		"no list":       {"m", models(404, "nothing"), nil, "key: OPENAI_API_KEY is set\nendpoint: URL\nmodel: m; the server does not say which it has\n"},
		"a wrong key":   {"m", models(401, `{"error":{"message":"Incorrect API key provided: `+canary+`"}}`), nil, "key: OPENAI_API_KEY is set\n! endpoint: HOST answered 401 Unauthorized → Incorrect API key provided: ‹secret OPENAI_API_KEY› (is OPENAI_API_KEY right?)\n"},
		"down":          {"m", models(503, ""), nil, "key: OPENAI_API_KEY is set\n! endpoint: HOST answered 503 Service Unavailable\n"},
		"no key":        {"m", models(200, three), func() (string, error) { return "", fmt.Errorf("set GROQ_KEY") }, "! key: openai has no key → set GROQ_KEY\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, c.answer)
			f.config.Model = c.model
			if c.key != nil {
				f.config.APIKey = c.key
			}
			got := found(t, openai.New(f.config).(agent.Examiner).Examine)
			url := strings.TrimSuffix(f.config.BaseURL, "/")
			got = strings.ReplaceAll(strings.ReplaceAll(got, url, "URL"), strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/v1"), "HOST")
			if got != c.want {
				t.Errorf("found\n%swant\n%s", got, c.want)
			}
		})
	}
}

// A probe finds out by small requests what a server can do.
func TestProbe(t *testing.T) {
	type can struct {
		whole, noUsage, noSchema, noObject, ignores, noTools, wontUse bool
		status                                                        int
	}
	for name, c := range map[string]struct {
		can
		want string
	}{
		"everything": {can{}, "stream: yes\nusage: reported (10 tokens in, 5 out)\njson_schema: the model is held to it\ntools: the model uses them\n"},
		"little": {can{whole: true, noUsage: true, ignores: true, wontUse: true}, `stream: no: an answer is shown when it is complete → a server, or a proxy before it, that passes streams on shows answers as they come
usage: not reported: what calls use is unknown, and budgets take what they reserved → price = {input = 0, output = 0} says that calls are free, if they are
json_schema: accepted, and not kept to: what ` + "`as`" + ` asks for may take repairs; this time the answer was "The sea." → answers are validated here in any case, and repaired; ` + "`repair 2`" + ` allows more of it
tools: offered, and not used → an agent that is granted ` + "`tools`" + ` may need a larger model, or a server that knows how this one asks for them
`},
		"no schema": {can{noSchema: true, noTools: true}, `stream: yes
usage: reported (10 tokens in, 5 out)
json_schema: refused: it is asked for a JSON object instead, with the schema in words
tools: no: HOST answered 400 Bad Request: this model does not support tools (it was offered 1 tool: give openai another model, or take ` + "`tools`" + ` away from it in slop.toml) → an agent that is granted ` + "`tools`" + ` needs another model or server
`},
		"no JSON": {can{noSchema: true, noObject: true}, "stream: yes\nusage: reported (10 tokens in, 5 out)\njson_schema: refused: the schema is given in words\ntools: the model uses them\n"},
		"down":    {can{status: 503}, "! answer: HOST answered 503 Service Unavailable: busy → is the server well, and does the model fit into its memory? timeout in slop.toml allows it more time\n"},
		"no key":  {can{status: 401}, "! answer: HOST answered 401 Unauthorized: busy (is OPENAI_API_KEY right?) → is OPENAI_API_KEY a key of HOST that may use m1, and is its account in order?\n"},
		"limited": {can{status: 429}, "! answer: HOST answered 429 Too Many Requests: busy → wait, or set limit or rate under its table in slop.toml\n"},
		"strange": {can{status: 418}, "! answer: HOST answered 418 I'm a teapot: busy → set model and base_url to what HOST offers\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var f *fake
			f = serve(t, func(w http.ResponseWriter, r *http.Request) {
				f.mu.Lock()
				body := f.bodies[len(f.bodies)-1]
				f.mu.Unlock()
				refuse := func(what string) {
					w.WriteHeader(400)
					fmt.Fprintf(w, `{"error":{"message":%q}}`, what)
				}
				usage := count
				if c.noUsage {
					usage = ""
				}
				format := formatOf(body)
				switch {
				case c.status != 0:
					w.WriteHeader(c.status)
					io.WriteString(w, `{"error":{"message":"busy"}}`)
				case format == "json_schema" && c.noSchema, format == "json_object" && c.noObject:
					refuse("response_format is not supported")
				case body["tools"] != nil && c.noTools:
					refuse("this model does not support tools")
				case body["tools"] != nil && !c.wontUse:
					stream(`data: {"id":"c1","choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"note","arguments":"{\"word\":\"sea\"}"}}]},"finish_reason":"tool_calls"}]}`+"\n\n", usage, done)(w, r)
				case c.whole:
					io.WriteString(w, `{"id":"c1","choices":[{"message":{"content":"The sea."},"finish_reason":"stop"}]}`)
				case format != "none" && !c.ignores:
					stream(delta(`{"waves":3}`), stop, usage, done)(w, r)
				default:
					stream(delta("ready"), stop, usage, done)(w, r)
				}
			})
			got := found(t, openai.New(f.config).(agent.Prober).Probe)
			got = strings.ReplaceAll(got, strings.TrimSuffix(strings.TrimPrefix(f.config.BaseURL, "http://"), "/v1/"), "HOST")
			if got != c.want {
				t.Errorf("found\n%swant\n%s", got, c.want)
			}
			if len(f.bodies) > 6 {
				t.Errorf("%d requests", len(f.bodies))
			}
		})
	}
}
