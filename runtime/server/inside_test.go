package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/travel"
)

// raw sends bytes, and gives the answer with its body as it is.
func (w *world) raw(method, path string, body []byte, header ...string) (*http.Response, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer, text
}

// run runs a script to its end.
func (w *world) run(script string, inputs M) M {
	w.t.Helper()
	v := w.want(200, "POST", "/workflows?wait=20s", M{"script": script, "inputs": inputs})
	if v["status"] != "succeeded" {
		w.t.Fatalf("the run is %v", v)
	}
	return v
}

func TestContextOfARun(t *testing.T) {
	w := newWorld(t)
	id := w.run(`a = memory.set(path: "a.b[0].c", value: 1)
b = memory.set(path: "a.d", value: "x") after a
output "done"`, nil)["id"].(string)
	at := "/workflows/" + id
	for path, want := range map[string]string{"": "map[a:map[b:[map[c:1]] d:x]]", "?path=a.b[0].c": "1", "?path=a.d": "x", "?path=a.b": "[map[c:1]]"} {
		if v := w.want(200, "GET", at+"/context"+path, nil); fmt.Sprint(v["value"]) != want {
			t.Errorf("%s is %v", path, v)
		}
	}
	w.want(404, "GET", at+"/context?path=none", nil)
	w.want(400, "GET", at+"/context?path=a..b", nil)
	w.want(404, "GET", at+"/context?seq=999", nil)
	if v := w.want(200, "GET", at+"/context?seq=1", nil); fmt.Sprint(v["value"]) != "map[]" {
		t.Errorf("in the beginning it is %v", v)
	}
	// Any seq is a snapshot: what is there only grows, and the last is the run as it is.
	last := int(w.want(200, "GET", at, nil)["seq"].(float64))
	steps := 0
	for seq := 1; seq <= last; seq++ {
		v := w.want(200, "GET", fmt.Sprintf("%s/snapshot?seq=%d", at, seq), nil)
		if n := len(v["steps"].([]any)); n < steps || v["seq"] != float64(seq) {
			t.Errorf("at %d: %v", seq, v)
		} else {
			steps = n
		}
	}
	v := w.want(200, "GET", at+"/snapshot", nil)
	if v["status"] != "succeeded" || v["output"] != "done" || steps != 2 || fmt.Sprint(v["context"]) != "map[a:map[b:[map[c:1]] d:x]]" {
		t.Errorf("at the end: %v", v)
	}
	w.want(404, "GET", at+"/snapshot?seq=999", nil)
	w.want(400, "GET", at+"/snapshot?seq=x", nil)
}

func TestStepsOfARun(t *testing.T) {
	w := newWorld(t)
	id := w.run("input who: string\nband = parallel {\n a = echo \"hi <<who>>\"\n}\noutput band", M{"who": "Ada"})["id"].(string)
	for _, path := range []string{"/steps/band%2Fa", "/steps?step=band/a"} {
		v := w.want(200, "GET", "/workflows/"+id+path, nil)
		attempts := v["attempts"].([]any)
		if v["path"] != "band/a" || v["agent"] != "echo" || v["input"].(M)["text"] != "hi Ada" || v["value"] != "hi Ada" || v["status"] != "done" || v["line"] != 3.0 || len(attempts) != 1 || attempts[0].(M)["done"] != true {
			t.Errorf("%s: %v", path, v)
		}
	}
	if list := w.want(200, "GET", "/workflows/"+id+"/steps", nil)["items"].([]any); len(list) != 1 || list[0].(M)["path"] != "band/a" {
		t.Errorf("its steps are %v", list)
	}
	if p := w.want(404, "GET", "/workflows/"+id+"/steps/band%2Fb", nil); !strings.Contains(p["detail"].(string), "band/a") {
		t.Errorf("a step that is not there: %v", p)
	}
}

func TestForkAndDiff(t *testing.T) {
	w := newWorld(t)
	id := w.run("input who: string\na = echo \"a\"\nb = echo \"<<a>> <<who>>\"\noutput b", M{"who": "Ada"})["id"].(string)
	at := "/workflows/" + id
	f := w.want(200, "POST", at+"/fork", M{"inputs": M{"who": "Bo"}, "dryRun": true})
	if f["of"] != id || len(f["again"].([]any)) != 1 || f["again"].([]any)[0].(M)["path"] != "b" || len(f["keeps"].([]any)) != 1 || f["head"] == nil {
		t.Errorf("the forecast is %v", f)
	}
	body := M{"inputs": M{"who": "Bo"}, "head": f["head"]}
	answer, v := w.ask("POST", at+"/fork", body, "Idempotency-Key", "k")
	if answer.StatusCode != 202 || v["fork"].(M)["run"] != id || answer.Header.Get("Location") != server.Root+"/workflows/"+v["id"].(string) {
		t.Fatalf("the fork: %d %v", answer.StatusCode, v)
	}
	fork := v["id"].(string)
	if answer, v := w.ask("POST", at+"/fork", body, "Idempotency-Key", "k"); answer.StatusCode != 202 || v["id"] != fork || answer.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("asked again: %d %v", answer.StatusCode, v)
	}
	if v := w.want(200, "GET", "/workflows/"+fork+"?wait=20s", nil); v["output"] != "a Bo" {
		t.Errorf("the fork gives %v", v)
	}
	d := w.want(200, "GET", at+"/diff?with="+fork, nil)
	if d["same"] != false || d["first"] != "b" || d["output"].(M)["a"] != "a Ada" || d["output"].(M)["b"] != "a Bo" {
		t.Errorf("the difference is %v", d)
	}
	edited := w.want(202, "POST", at+"/fork", M{"script": "input who: string\na = echo \"a\"\nb = echo \"<<a>>, <<who>>!\"\noutput b"})["id"].(string)
	if v := w.want(200, "GET", "/workflows/"+edited+"?wait=20s", nil); v["output"] != "a, Ada!" {
		t.Errorf("the edited one gives %v", v)
	}
	for body, status := range map[string]int{`{"from":"none"}`: 400, `{"only":true}`: 400, `{"script":"output nobody()"}`: 422, `{"inputs":{"x":1}}`: 422, `{"script":"output \"x\"","flow":"f"}`: 400} {
		if answer, text := w.raw("POST", at+"/fork", []byte(body), "Content-Type", "application/json"); answer.StatusCode != status {
			t.Errorf("%s: %d %s", body, answer.StatusCode, text)
		}
	}
	w.want(400, "GET", at+"/diff", nil)
	w.want(404, "GET", at+"/diff?with=none", nil)
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	id := w.run("input text: string\na = echo \"<<text>>\"\noutput len(a)", M{"text": strings.Repeat("long ", 50_000)})["id"].(string)
	answer, data := w.raw("GET", "/workflows/"+id+"/export", nil)
	h, blobs, err := travel.Import(data)
	if err != nil || string(h.ID) != id || len(blobs) != 1 || !strings.Contains(answer.Header.Get("Content-Disposition"), id+".json") {
		t.Fatalf("%d: %v, %d blobs", answer.StatusCode, err, len(blobs))
	}
	if _, err := travel.Replay(h); err != nil {
		t.Errorf("what is exported does not replay: %v", err)
	}
}

func TestFilesOfARun(t *testing.T) {
	w := newWorld(t)
	data := []byte("<script>alert(1)</script>" + strings.Repeat("0123456789", 10_000))
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	answer, text := w.raw("POST", "/blobs?name=../../page.html", data, "Content-Type", "text/html")
	if answer.StatusCode != 201 || !strings.Contains(string(text), hash) || !strings.Contains(string(text), `"page.html"`) {
		t.Fatalf("%d %s", answer.StatusCode, text)
	}
	v := w.run("input f: file\ninput more: [file] = []\noutput {name: f.name, size: f.size, start: f.text[0:8], n: len(more)}", M{"f": M{"sha256": hash}, "more": []M{{"sha256": hash, "name": "b.txt"}}})
	if out := v["output"].(M); out["name"] != "page.html" || out["size"] != float64(len(data)) || out["start"] != "<script>" || out["n"] != 1.0 {
		t.Errorf("the flow sees %v", out)
	}
	at := "/workflows/" + v["id"].(string) + "/artifacts"
	list := w.want(200, "GET", at, nil)["items"].([]any)
	if len(list) != 1 || list[0].(M)["sha256"] != hash || list[0].(M)["name"] == nil || list[0].(M)["size"] != float64(len(data)) {
		t.Errorf("its artifacts are %v", list)
	}
	answer, got := w.raw("GET", at+"/"+hash, nil)
	h := answer.Header
	if !bytes.Equal(got, data) || h.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment; filename=") ||
		!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("ETag") != `"`+hash+`"` {
		t.Errorf("it is sent with %v", h)
	}
	answer, got = w.raw("GET", at+"/"+hash, nil, "Range", "bytes=0-7")
	if answer.StatusCode != 206 || string(got) != "<script>" {
		t.Errorf("a part: %d %q", answer.StatusCode, got)
	}
	if answer, _ = w.raw("GET", at+"/"+hash, nil, "If-None-Match", `"`+hash+`"`); answer.StatusCode != 304 {
		t.Errorf("what is known is sent again: %d", answer.StatusCode)
	}
	// Only what the facts of the run name: not the plan, nor another run's.
	other := w.run("output echo \"x\"", nil)["id"].(string)
	w.want(404, "GET", "/workflows/"+other+"/artifacts/"+hash, nil)
	w.want(404, "GET", at+"/"+strings.Repeat("0", 64), nil)
	for _, inputs := range []M{{"f": M{"sha256": strings.Repeat("0", 64)}}, {"f": "page.html"}, {"f": M{"path": "/etc/passwd"}}, {"f": M{"sha256": hash, "path": "x"}}} {
		if p := w.want(422, "POST", "/workflows", M{"script": "input f: file\noutput f.name", "inputs": inputs}); !strings.HasPrefix(pointers(p)[0], "/inputs/f") {
			t.Errorf("%v: %v", inputs, p)
		}
	}
	w.want(415, "POST", "/blobs", nil, "Content-Type", "multipart/form-data; boundary=x")
}

func TestRunsAreSearched(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/flows", M{"name": "house/poem", "script": "output \"x\""})
	w.want(200, "POST", "/workflows?wait=10s", M{"flow": "house/poem", "tags": []string{"Spring"}})
	id := w.run("output \"x\"", nil)["id"].(string)
	for word, want := range map[string]int{"POEM": 1, "spring": 1, id: 1, "x%25": 0, "": 2} {
		if n := len(w.want(200, "GET", "/workflows?q="+word, nil)["items"].([]any)); n != want {
			t.Errorf("%q finds %d", word, n)
		}
	}
}

// What is in a run of another tenant is not there.
func TestInsideRunsOfOthers(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = tenants{} })
	w.token = "ann"
	data := []byte(strings.Repeat("ann's ", 20_000))
	_, text := w.raw("POST", "/blobs", data)
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	if !strings.Contains(string(text), hash) {
		t.Fatal(string(text))
	}
	id := w.run("input f: file\noutput f.text", M{"f": M{"sha256": hash}})["id"].(string)
	w.token = "bob"
	mine := w.run("output \"x\"", nil)["id"].(string)
	at := "/workflows/" + id
	for _, path := range []string{"/context", "/snapshot", "/steps", "/steps/output", "/export", "/artifacts", "/artifacts/" + hash, "/diff?with=" + mine} {
		w.want(404, "GET", at+path, nil)
	}
	w.want(404, "GET", "/workflows/"+mine+"/diff?with="+id, nil)
	w.want(404, "POST", at+"/fork", M{})
	p := w.want(422, "POST", "/workflows", M{"script": "input f: file\noutput f.text", "inputs": M{"f": M{"sha256": hash}}})
	if !slices.Equal(pointers(p), []string{"/inputs/f/sha256"}) {
		t.Errorf("bytes of another: %v", p)
	}
}
