package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/server/auth"
)

// M is a JSON object.
type M = map[string]any

// names are those of the items of a list.
func names(list M) (names []string) {
	for _, item := range list["items"].([]any) {
		names = append(names, item.(M)["name"].(string))
	}
	return names
}

// pointers are the places that a problem names.
func pointers(p M) (all []string) {
	list, _ := p["errors"].([]any)
	for _, e := range list {
		all = append(all, e.(M)["pointer"].(string))
	}
	return all
}

func TestTemplates(t *testing.T) {
	w := newWorld(t)
	answer, v := w.ask("POST", "/templates", M{"name": "greeting", "content": "Hello {{user.name}}, {{n}} times", "tags": []string{"warm"}, "category": "user",
		"variables": []M{{"name": "user", "type": "object", "required": true, "description": "who"}, {"name": "n", "type": "number", "default": 3}}})
	if answer.StatusCode != 201 || v["version"] != 1.0 || v["by"] != auth.Local || v["createdAt"] == nil || v["updatedAt"] == nil {
		t.Fatalf("%d: %v", answer.StatusCode, v)
	}
	id, tag := v["id"].(string), answer.Header.Get("ETag")
	if answer.Header.Get("Location") != server.Root+"/templates/"+id || tag == "" {
		t.Errorf("its place is %q, its tag %q", answer.Header.Get("Location"), tag)
	}
	for _, ref := range []string{id, "greeting", "greeting@1", id + "@1"} {
		if v := w.want(200, "GET", "/templates/"+ref, nil); v["id"] != id || v["content"] != "Hello {{user.name}}, {{n}} times" || len(v["variables"].([]any)) != 2 {
			t.Errorf("%s is %v", ref, v)
		}
	}
	if answer, _ := w.ask("GET", "/templates/greeting", nil, "If-None-Match", tag); answer.StatusCode != 304 {
		t.Errorf("what is known is sent again: %d", answer.StatusCode)
	}
	if v := w.want(409, "POST", "/templates", M{"name": "greeting", "content": "x"}); v["code"] != "E_EXISTS" {
		t.Errorf("a name that is taken: %v", v)
	}

	answer, v = w.ask("PUT", "/templates/greeting", M{"content": "Hi {{user.name}}", "variables": []M{{"name": "user", "type": "object"}}, "changeDescription": "shorter"}, "If-Match", tag)
	if answer.StatusCode != 200 || v["version"] != 2.0 || v["note"] != "shorter" || answer.Header.Get("ETag") == tag {
		t.Fatalf("%d: %v", answer.StatusCode, v)
	}
	if v := w.want(412, "PUT", "/templates/greeting", M{"content": "lost"}, "If-Match", tag); v["code"] != "E_PRECONDITION" {
		t.Errorf("a change of an older one: %v", v)
	}
	w.want(412, "DELETE", "/templates/greeting", nil, "If-Match", tag)
	if v := w.want(200, "PUT", "/templates/"+id, M{"tags": []string{"cold"}}); v["version"] != 2.0 || v["tags"].([]any)[0] != "cold" || v["content"] != "Hi {{user.name}}" {
		t.Errorf("a change that leaves the text alone: %v", v)
	}
	w.want(400, "PUT", "/templates/greeting@1", M{"content": "x"})
	w.want(400, "PUT", "/templates/greeting", M{"name": "other"})

	list := w.want(200, "GET", "/templates/greeting/versions", nil)["items"].([]any)
	if len(list) != 2 || list[0].(M)["version"] != 2.0 || list[0].(M)["note"] != "shorter" || list[1].(M)["version"] != 1.0 {
		t.Errorf("its versions are %v", list)
	}
	page := w.want(200, "GET", "/templates/greeting/versions?limit=1", nil)
	if rest := w.want(200, "GET", "/templates/greeting/versions?cursor="+page["next"].(string), nil); rest["items"].([]any)[0].(M)["version"] != 1.0 || rest["next"] != nil {
		t.Errorf("the next page is %v", rest)
	}
	if v := w.want(200, "GET", "/templates/greeting/versions/1", nil); v["content"] != "Hello {{user.name}}, {{n}} times" {
		t.Errorf("version 1 is %v", v)
	}
	w.want(404, "GET", "/templates/greeting/versions/3", nil)
	w.want(404, "GET", "/templates/greeting@3", nil)
	w.want(400, "GET", "/templates/greeting@x", nil)
	d := w.want(200, "GET", "/templates/greeting/diff?from=1&to=2", nil)
	if text := d["diff"].(string); !strings.Contains(text, "-Hello {{user.name}}, {{n}} times\n+Hi {{user.name}}") || fmt.Sprint(d["variables"].(M)["removed"]) != "[n]" || fmt.Sprint(d["variables"].(M)["changed"]) != "[user]" {
		t.Errorf("the difference is %v", d)
	}
	if v := w.want(200, "POST", "/templates/greeting/rollback", M{"version": 1}); v["version"] != 3.0 || v["content"] != "Hello {{user.name}}, {{n}} times" || v["note"] != "as version 1" {
		t.Errorf("rolled back it is %v", v)
	}
	w.want(404, "POST", "/templates/greeting/rollback", M{"version": 9})
	w.want(204, "DELETE", "/templates/greeting", nil)
	w.want(404, "GET", "/templates/greeting", nil)
	w.want(404, "GET", "/templates/"+id, nil)
}

func TestInterpolate(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/templates", M{"name": "a b/c", "content": "{{user.name}} {{items[0].title}} {{n}}{{more}}", "variables": []M{{"name": "user", "type": "object"},
		{"name": "items", "type": "array"}, {"name": "n", "type": "number", "default": 2}, {"name": "more", "type": "string", "required": false}}})
	at := "/templates/" + url.PathEscape("a b/c") + "/interpolate"
	v := w.want(200, "POST", at, M{"variables": M{"user": M{"name": "$& {{n}}"}, "items": []M{{"title": "T"}}}})
	if v["content"] != "$& {{n}} T 2" || fmt.Sprint(v["missing"]) != "[more]" || fmt.Sprint(v["used"]) != "[user items n]" || v["version"] != 1.0 {
		t.Errorf("filled it is %v", v)
	}
	p := w.want(422, "POST", at, M{"variables": M{"items": []M{}, "n": "two", "usr": 1}})
	if got := pointers(p); p["code"] != "E_INPUT" || !slices.Equal(got, []string{"/variables/user", "/variables/n", "/variables/usr"}) {
		t.Errorf("the problem is %v", p)
	}
	w.want(422, "POST", at, M{"variables": M{"user": M{"name": "x"}, "items": []M{}}}) // items[0] is not there
	w.want(400, "POST", at, M{"variables": []int{}})
	w.want(404, "POST", "/templates/none/interpolate", M{})
}

func TestTemplateProblems(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 100_001)
	for _, tt := range []struct {
		body    M
		status  int
		pointer string
	}{
		{M{"content": "x"}, 400, "/name"},
		{M{"name": "a@1", "content": "x"}, 400, "/name"},
		{M{"name": " a", "content": "x"}, 400, "/name"},
		{M{"name": strings.Repeat("n", 201), "content": "x"}, 400, "/name"},
		{M{"name": "a"}, 400, "/content"},
		{M{"name": "a", "content": "x", "tenant": "b"}, 400, "/tenant"},
		{M{"name": "a", "content": "x", "tags": make([]string, 21)}, 400, "/tags"},
		{M{"name": "a", "content": long}, 422, "/content"},
		{M{"name": "a", "content": "{{#if x}}"}, 422, "/content"},
		{M{"name": "a", "content": "{{x}}", "variables": []M{{"name": "y", "type": "string"}}}, 422, "/variables"},
		{M{"name": "a", "content": "{{x}}", "variables": []M{{"name": "x", "type": "number", "default": "two"}}}, 422, "/variables/0"},
		{M{"name": "a", "content": "{{x}}", "variables": make([]M, 51)}, 422, "/variables"},
	} {
		answer, v := w.ask("POST", "/templates", tt.body)
		if answer.StatusCode != tt.status || !slices.Contains(pointers(v), tt.pointer) {
			t.Errorf("%.80v: %d %v", tt.body, answer.StatusCode, v)
		}
	}
	if v := w.want(422, "POST", "/templates", M{"name": "a", "content": "ok\n{{x"}); v["code"] != "E_TEMPLATE" || v["diagnostics"].([]any)[0].(M)["line"] != 2.0 {
		t.Errorf("the problem is %v", v)
	}
}

func TestTemplatesAreListed(t *testing.T) {
	w := newWorld(t)
	for i, tags := range [][]string{{"a"}, {"a", "b"}, {"b"}} {
		w.want(201, "POST", "/templates", M{"name": fmt.Sprintf("t%d", i), "content": "secret text", "tags": tags, "category": []string{"user", "system", "user"}[i], "description": fmt.Sprintf("No. %d", i)})
	}
	for q, want := range map[string][]string{"": {"t0", "t1", "t2"}, "?tag=a": {"t0", "t1"}, "?tag=a,b": {"t1"}, "?tag=a&tag=b": {"t1"}, "?category=user": {"t0", "t2"}, "?category=user&tag=a": {"t0"}, "?q=no.%202": {"t2"}, "?q=secret": nil} {
		list := w.want(200, "GET", "/templates"+q, nil)
		if got := names(list); !slices.Equal(got, want) || list["next"] != nil {
			t.Errorf("%s: %v", q, list)
		}
	}
	list := w.want(200, "GET", "/templates?limit=2", nil)
	if _, ok := list["items"].([]any)[0].(M)["content"]; ok {
		t.Error("a list holds what the templates say")
	}
	if rest := w.want(200, "GET", "/templates?limit=2&cursor="+list["next"].(string), nil); !slices.Equal(names(rest), []string{"t2"}) {
		t.Errorf("the next page is %v", rest)
	}
	w.want(400, "GET", "/templates?cursor=!", nil)
	w.want(400, "GET", "/templates?page=2", nil)
}

// D7 of the system before: of changes at the same time none is lost, and each has its own version.
func TestTemplateChangesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/templates", M{"name": "t", "content": "0"})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if answer, v := w.ask("PUT", "/templates/t", M{"content": fmt.Sprint("from ", i)}); answer.StatusCode != 200 {
				t.Errorf("%d: %v", answer.StatusCode, v)
			}
		})
	}
	group.Wait()
	if v := w.want(200, "GET", "/templates/t", nil); v["version"] != 9.0 {
		t.Errorf("8 changes made version %v", v["version"])
	}
}

func TestCreateOnce(t *testing.T) {
	w := newWorld(t)
	body := M{"name": "t", "content": "x"}
	first := w.want(201, "POST", "/templates", body, "Idempotency-Key", "k")
	answer, again := w.ask("POST", "/templates", body, "Idempotency-Key", "k")
	if answer.StatusCode != 201 || answer.Header.Get("Idempotency-Replayed") != "true" || again["createdAt"] != first["createdAt"] {
		t.Errorf("again: %d %v", answer.StatusCode, again)
	}
	w.want(422, "POST", "/templates", M{"name": "u", "content": "x"}, "Idempotency-Key", "k")
	w.want(409, "POST", "/templates", body, "Idempotency-Key", "other")
}

func TestScriptsUseTemplates(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/templates", M{"name": "greeting", "content": "Hello {{user.name}}{{mark}}", "variables": []M{{"name": "user", "type": "object"}, {"name": "mark", "type": "string", "default": "!"}}})
	w.want(200, "PUT", "/templates/greeting", M{"content": "Hi {{user.name}}{{mark}}"})
	for ref, want := range map[string]string{"greeting@1": "Hello Ada!", "greeting@2": "Hi Ada!", "greeting": "Hi Ada!"} {
		v := w.want(200, "POST", "/workflows?wait=10s", M{"script": fmt.Sprintf("use template %q as greet\noutput echo \"<<greet({user: {name: \"Ada\"}})>>\"", ref)})
		if v["output"] != want {
			t.Errorf("%s gives %v", ref, v["output"])
		}
	}
	for script, want := range map[string]string{
		"use template \"none@1\" as g\noutput g({})":                 "E0108",
		"use template \"greeting@9\" as g\noutput g({})":             "E0108",
		"use template \"./greeting.txt\" as g\noutput g({})":         "E0108",
		"use template \"greeting\" as g\noutput echo \"<<g({})>>\"":  "E0111",
		"use template \"greeting\" as g\noutput \"<<g({usr: 1})>>\"": "E0111",
	} {
		p := w.want(422, "POST", "/workflows", M{"script": script})
		if list := p["diagnostics"].([]any); list[0].(M)["code"] != want {
			t.Errorf("%s: %v", script, list)
		}
	}
}

func TestFlows(t *testing.T) {
	w := newWorld(t)
	script := "input who: string \"Who?\"\ninput n: int = 2\noutput echo \"<<who>> <<n>>\""
	answer, v := w.ask("POST", "/flows", M{"name": "house/review", "script": script, "description": "reviews", "tags": []string{"x"}})
	if answer.StatusCode != 201 || v["version"] != 1.0 || v["published"] != 1.0 || answer.Header.Get("Location") != server.Root+"/flows/house%2Freview" {
		t.Fatalf("%d %v", answer.StatusCode, v)
	}
	form := v["inputs"].(M)
	who, n := form["properties"].(M)["who"].(M), form["properties"].(M)["n"].(M)
	if who["type"] != "string" || who["description"] != "Who?" || n["type"] != "integer" || n["default"] != 2.0 || fmt.Sprint(form["required"]) != "[who]" {
		t.Errorf("its form is %v", form)
	}
	at := "/flows/house%2Freview"
	if p := w.want(422, "PUT", at, M{"script": "output nobody \"x\""}); p["code"] != "E_SCRIPT" || len(p["diagnostics"].([]any)) != 1 {
		t.Errorf("a script with a mistake: %v", p)
	}
	if v := w.want(200, "PUT", at, M{"script": "output echo \"two\"", "draft": true}, "If-Match", answer.Header.Get("ETag")); v["version"] != 2.0 || v["published"] != 1.0 {
		t.Errorf("a draft: %v", v)
	}
	w.want(412, "PUT", at, M{"script": "output \"x\""}, "If-Match", answer.Header.Get("ETag"))
	run := func(status int, ref string, inputs M) M {
		t.Helper()
		return w.want(status, "POST", "/workflows?wait=10s", M{"flow": ref, "inputs": inputs})
	}
	if v := run(200, "house/review", M{"who": "Ada"}); v["output"] != "Ada 2" || v["flow"] != "house/review" {
		t.Errorf("by name it gives %v", v)
	}
	if v := run(200, "house/review@2", nil); v["output"] != "two" || v["flow"] != "house/review" {
		t.Errorf("by version it gives %v", v)
	}
	run(404, "house/review@3", nil)
	run(404, "nothing", nil)
	// A run by reference brings no code.
	if p := w.want(400, "POST", "/workflows", M{"flow": "house/review", "script": "output \"x\""}); !slices.Equal(pointers(p), []string{"/flow"}) {
		t.Errorf("code beside a name: %v", p)
	}
	if p := w.want(422, "POST", "/workflows", M{"flow": "house/review"}); p["code"] != "E_INPUT" {
		t.Errorf("without its inputs: %v", p)
	}
	w.want(200, "PUT", at, M{"published": 0})
	if p := run(404, "house/review", nil); !strings.Contains(p["detail"].(string), "house/review@2") {
		t.Errorf("what is not published: %v", p)
	}
	w.want(400, "PUT", at, M{"published": 3})
	if v := w.want(200, "PUT", at, M{"published": 2}); v["published"] != 2.0 || v["version"] != 2.0 {
		t.Errorf("published: %v", v)
	}
	if v := w.want(200, "GET", "/flows/house%2Freview@1", nil); v["script"] != script {
		t.Errorf("version 1 is %v", v)
	}
	if d := w.want(200, "GET", at+"/diff", nil); !strings.Contains(d["diff"].(string), "+output echo \"two\"") {
		t.Errorf("the difference is %v", d)
	}
	list := w.want(200, "GET", "/flows?published=true&q=REVIEWS&tag=x", nil)
	if item := list["items"].([]any)[0].(M); item["name"] != "house/review" || item["script"] != nil || item["inputs"] == nil {
		t.Errorf("the list is %v", list)
	}
	if n := len(w.want(200, "GET", at+"/versions", nil)["items"].([]any)); n != 2 {
		t.Errorf("%d versions", n)
	}
	for _, name := range []string{"", "a b", "../x", "a//b", "std/x", "a@1", "/a"} {
		w.want(400, "POST", "/flows", M{"name": name, "script": "output \"x\""})
	}
	w.want(204, "DELETE", at, nil)
	w.want(404, "GET", at, nil)
}

// A plan is closed: what a script uses is in it, and what becomes of that later does not matter.
func TestScriptsUseFlows(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/flows", M{"name": "inner", "script": "input x: string\nok = human.approve \"Go?\"\nrequire ok == \"yes\" else \"no\"\noutput echo \"one <<x>>\""})
	script := "use \"@inner\" as inner\noutput inner(x: \"a\")\n"
	id := w.start("use \"@inner\" as inner\noutput inner(x: \"a\")")
	w.want(200, "PUT", "/flows/inner", M{"script": "input y: string\noutput echo \"two <<y>>\""})
	q := w.want(200, "GET", "/workflows/"+id, nil)["questions"].([]any)[0].(M)
	w.want(200, "POST", "/workflows/"+id+"/answer", M{"step": q["step"], "value": "yes"})
	if v := w.want(200, "GET", "/workflows/"+id+"?wait=10s", nil); v["output"] != "one a" {
		t.Errorf("after a change it gives %v", v)
	}
	if p := w.want(422, "POST", "/workflows", M{"script": script}); p["diagnostics"].([]any)[0].(M)["code"] != "E0112" {
		t.Errorf("a new run sees the change: %v", p)
	}
	if v := w.want(200, "POST", "/workflows?wait=10s", M{"script": "use \"@inner@2\" as inner\noutput inner(y: \"b\")"}); v["output"] != "two b" {
		t.Errorf("version 2 gives %v", v)
	}
	w.want(422, "PUT", "/flows/inner", M{"script": "use \"@other\" as o\noutput o()"})
}

func TestEditors(t *testing.T) {
	w := newWorld(t)
	if v := w.want(200, "POST", "/check", M{"script": "output nobody \"x\""}); v["ok"] != false || v["diagnostics"].([]any)[0].(M)["code"] != "E0102" {
		t.Errorf("a mistake: %v", v)
	}
	if v := w.want(200, "POST", "/check", "output echo \"x\""); v["ok"] != true || len(v["diagnostics"].([]any)) != 0 {
		t.Errorf("no mistake: %v", v)
	}
	if v := w.want(200, "POST", "/check?name=a.slop", "x ="); v["ok"] != false || v["diagnostics"].([]any)[0].(M)["file"] != "a.slop" {
		t.Errorf("by name: %v", v)
	}
	if v := w.want(200, "POST", "/format", "a  =  echo   \"x\"\n\n\n\noutput a"); v["script"] != "a = echo \"x\"\n\noutput a\n" || v["changed"] != true {
		t.Errorf("formatted it is %v", v)
	}
	w.want(422, "POST", "/format", "a = = =")
	for format, want := range map[string]string{"mermaid": "flowchart", "dot": "digraph", "ascii": "echo"} {
		if v := w.want(200, "POST", "/graph", M{"script": "a = echo \"x\"\noutput a", "format": format}); !strings.Contains(v["graph"].(string), want) || v["format"] != format {
			t.Errorf("%s: %v", format, v)
		}
	}
	if v := w.want(200, "POST", "/graph", "a = echo \"x\"\noutput a"); len(v["graph"].(M)["nodes"].([]any)) != 2 {
		t.Errorf("as data: %v", v)
	}
	w.want(400, "POST", "/graph", M{"script": "output \"x\"", "format": "png"})
	w.want(400, "POST", "/check", M{})
	w.want(415, "POST", "/check", nil, "Content-Type", "application/xml")
}

// tenants is a gate that takes the name of a tenant as its token.
type tenants struct{ auth.Open }

func (tenants) Caller(r *http.Request) (auth.Caller, error) {
	name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return auth.Caller{Tenant: name, Name: name, Role: auth.Operator}, nil
}

// What belongs to another tenant is not there, whatever is asked of it; and its names are free.
func TestTemplatesAndFlowsOfOthers(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = tenants{} })
	w.token = "ann"
	id := w.want(201, "POST", "/templates", M{"name": "t", "content": "ann's"})["id"].(string)
	w.want(201, "POST", "/flows", M{"name": "f", "script": "output \"ann's\""})
	w.token = "bob"
	for _, at := range []string{"/templates/t", "/templates/" + id, "/flows/f"} {
		w.want(404, "GET", at, nil)
		w.want(404, "GET", at+"@1", nil)
		w.want(404, "PUT", at, M{})
		w.want(404, "DELETE", at, nil)
		w.want(404, "GET", at+"/versions", nil)
		w.want(404, "GET", at+"/versions/1", nil)
		w.want(404, "GET", at+"/diff", nil)
	}
	w.want(404, "POST", "/templates/t/interpolate", M{})
	w.want(404, "POST", "/templates/t/rollback", M{"version": 1})
	w.want(404, "POST", "/workflows", M{"flow": "f"})
	w.want(422, "POST", "/workflows", M{"script": "use \"@f\" as f\noutput f()"})
	w.want(422, "POST", "/workflows", M{"script": "use template \"t\" as f\noutput f({})"})
	if items := w.want(200, "GET", "/templates", nil)["items"].([]any); len(items) != 0 {
		t.Errorf("bob sees %v", items)
	}
	w.want(201, "POST", "/templates", M{"name": "t", "content": "bob's"})
	w.token = "ann"
	if v := w.want(200, "GET", "/templates/"+id, nil); v["content"] != "ann's" {
		t.Errorf("ann's is %v", v)
	}
}
