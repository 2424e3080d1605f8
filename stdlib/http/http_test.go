package http_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	web "github.com/slopstudios/slop/stdlib/http"
)

const canary = "c4nary-value"

func call(t *testing.T, capability, url string, args map[string]any) agent.Reply {
	t.Helper()
	return callWith(t.Context(), web.Config{MaxBody: 1000, MaxRedirects: 3}, capability, url, args)
}

func callWith(ctx context.Context, c web.Config, capability, url string, args map[string]any) agent.Reply {
	return web.New(c).Call(ctx, &agent.Call{
		Callee: &types.Signature{Use: capability}, Text: url, Args: args, Key: "run1/step", Emit: func(agent.Progress) {},
		Secret: func(name string) (string, error) {
			if name == "token" {
				return canary, nil
			}
			return "", errors.New("not set")
		},
	})
}

func server(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func want(t *testing.T, r agent.Reply, o run.Outcome, parts ...string) {
	t.Helper()
	if r.Outcome != o {
		t.Errorf("outcome %q (%s), want %q", r.Outcome, r.Message, o)
	}
	for _, p := range parts {
		if !strings.Contains(r.Message, p) {
			t.Errorf("message %q lacks %q", r.Message, p)
		}
	}
	if strings.Contains(fmt.Sprint(r), canary) {
		t.Errorf("leaked: %+v", r)
	}
}

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s?%s type=%s key=%s x=%s body=%s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), r.Header.Get("X"), body)
}

func TestRequests(t *testing.T) {
	u := server(t, echo)
	for _, c := range []struct {
		capability, path string
		args             map[string]any
		want             string
	}{
		{"http.get", "/a%2Fb?x=1", map[string]any{"query": map[string]any{"q": "a&b", "n": []any{1, 2.5, true}, "none": nil}}, "GET /a%2Fb?x=1&n=1&n=2.5&n=true&q=a%26b type= key= x= body="},
		{"http.post", "/", map[string]any{"body": "text"}, "POST /? type=text/plain; charset=utf-8 key=run1/step x= body=text"},
		{"http.put", "/", map[string]any{"body": map[string]any{"b": 1, "a": []any{"<"}}}, `PUT /? type=application/json key=run1/step x= body={"a":["<"],"b":1}`},
		{"http.patch", "/", map[string]any{"form": map[string]any{"b": "ü", "a": 1}}, "PATCH /? type=application/x-www-form-urlencoded key=run1/step x= body=a=1&b=%C3%BC"},
		{"http.delete", "/x", map[string]any{"headers": map[string]any{"X": []any{"1"}, "idempotency-key": "mine"}}, "DELETE /x? type= key=mine x=1 body="},
		{"http.post", "/", map[string]any{"body": types.FileValue{Type: "image/png", Data: []byte("PNG"), Size: 3}}, "POST /? type=image/png key=run1/step x= body=PNG"},
		{"http.post", "/", map[string]any{"body": "{}", "headers": map[string]any{"content-type": "application/json"}}, "POST /? type=application/json key=run1/step x= body={}"},
		{"http.post", "/", map[string]any{"headers": map[string]any{"X": types.Parts{"a ", types.Secret{Name: "token"}}}}, "POST /? type= key=run1/step x=a " + canary + " body="},
	} {
		r := call(t, c.capability, u+c.path, c.args)
		if r.Outcome != "" {
			t.Errorf("%s: %+v", c.capability, r)
			continue
		}
		if got := r.Value.(map[string]any)["body"]; got != c.want {
			t.Errorf("sent %s\nwant %s", got, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	u := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.Header().Set("X-One", "1")
		switch r.URL.Path {
		case "/json":
			io.WriteString(w, `{"n":1,"f":1.0}`)
		case "/latin":
			w.Write([]byte("gr\xfcn \x80"))
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(bytes.Repeat([]byte{'a'}, 1<<20))
			z.Close()
		case "/big":
			w.Write(bytes.Repeat([]byte{'a'}, 1001))
		case "/edge":
			w.Write(bytes.Repeat([]byte{'a'}, 1000))
		case "/binary":
			w.Write([]byte{0xff, 0xfe, 0xff})
		}
	})
	r := call(t, "http.get", u+"/json?type=application/problem%2Bjson", nil)
	v := r.Value.(map[string]any)
	if v["status"] != 200 || v["type"] != "application/problem+json" || v["body"] != `{"n":1,"f":1.0}` || !reflect.DeepEqual(v["json"], map[string]any{"n": 1, "f": 1.0}) || v["headers"].(map[string]any)["x-one"] != "1" {
		t.Errorf("%+v", v)
	}
	if r := call(t, "http.get", u+"/json?type=text/plain", nil); r.Value.(map[string]any)["json"] != nil {
		t.Error("JSON is read only where the type says so")
	}
	if r := call(t, "http.get", u+"/latin?type=text/html%3Bcharset=ISO-8859-1", nil); r.Value.(map[string]any)["body"] != "grün €" {
		t.Errorf("%+v", r)
	}
	if r := call(t, "http.head", u+"/json?type=application/json", nil); r.Outcome != "" || r.Value.(map[string]any)["body"] != "" || r.Value.(map[string]any)["json"] != nil {
		t.Errorf("%+v", r)
	}
	if r := call(t, "http.get", u+"/edge?type=text/plain", nil); len(r.Value.(map[string]any)["body"].(string)) != 1000 {
		t.Errorf("%+v", r)
	}
	want(t, call(t, "http.get", u+"/big", nil), run.Failure, "more than 1000 bytes")
	want(t, call(t, "http.get", u+"/gzip", nil), run.Failure, "more than 1000 bytes")
	want(t, call(t, "http.get", u+"/binary?type=image/png", nil), run.Failure, "image/png", "not text")
}

func TestStatuses(t *testing.T) {
	u := server(t, func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.URL.Path[1:], &code)
		if code == 429 || code == 503 {
			w.Header().Set("Retry-After", "7")
		}
		w.WriteHeader(code)
		io.WriteString(w, "because "+r.Header.Get("X"))
	})
	for code, o := range map[int]run.Outcome{400: run.Failure, 401: run.Denied, 403: run.Denied, 404: run.Failure, 429: run.RateLimited, 500: run.Unavailable, 503: run.Unavailable} {
		r := call(t, "http.get", fmt.Sprintf("%s/%d?private=1", u, code), map[string]any{"headers": map[string]any{"X": types.Secret{Name: "token"}}})
		want(t, r, o, fmt.Sprint(code), "because ‹secret token›")
		if strings.Contains(r.Message, "private") {
			t.Error("the query is shown: " + r.Message)
		}
		if (code == 429 || code == 503) != (r.RetryAfter == 7*time.Second) {
			t.Errorf("%d: retry after %v", code, r.RetryAfter)
		}
	}
	if r := call(t, "http.get", u+"/204", nil); r.Outcome != "" || r.Value.(map[string]any)["status"] != 204 {
		t.Errorf("%+v", r)
	}
}

// Headers with secrets stay with the host they were written for, also when a chain of redirects leads back to it.
func TestRedirects(t *testing.T) {
	var seen []string
	var there, here string
	record := func(name string, r *http.Request) {
		seen = append(seen, fmt.Sprintf("%s%s %q %q", name, r.URL.Path, r.Header.Get("X-Mine")+r.Header.Get("Authorization"), r.Header.Get("Referer")))
	}
	there = server(t, func(w http.ResponseWriter, r *http.Request) {
		record("there", r)
		if r.URL.Path == "/back" {
			http.Redirect(w, r, here+"/end", http.StatusTemporaryRedirect)
		}
	})
	here = server(t, func(w http.ResponseWriter, r *http.Request) {
		record("here", r)
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, there+"/back", http.StatusFound)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusMovedPermanently)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/other":
			http.Redirect(w, r, "/end", http.StatusSeeOther)
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Method, body)
	})
	secret := map[string]any{"headers": map[string]any{"X-Mine": types.Secret{Name: "token"}, "Authorization": "open"}}
	want(t, call(t, "http.get", here+"/away", secret), "")
	if got := strings.Join(seen, "\n"); got != `here/away "`+canary+`open" ""`+"\n"+`there/back "" ""`+"\n"+`here/end "" ""` {
		t.Error(got)
	}
	seen = nil
	want(t, call(t, "http.get", here+"/same", secret), "")
	if !strings.HasPrefix(seen[1], `here/end "`+canary+`open"`) {
		t.Error(seen)
	}
	want(t, call(t, "http.get", here+"/loop", nil), run.Failure, "more than 3 times")
	want(t, callWith(t.Context(), web.Config{MaxRedirects: -1}, "http.get", here+"/same", nil), run.Failure, "redirected")
	want(t, call(t, "http.post", here+"/same", map[string]any{"body": "b"}), run.Failure, "/end", "call that address")
	if r := call(t, "http.post", here+"/other", map[string]any{"body": "b"}); r.Outcome != "" || r.Value.(map[string]any)["body"] != "GET " {
		t.Errorf("%+v", r)
	}
}

func TestConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	want(t, call(t, "http.get", closed, nil), run.Unavailable, "refused")

	broken := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})
	want(t, call(t, "http.get", broken, nil), run.Unavailable, "broke")

	secure := httptest.NewTLSServer(http.HandlerFunc(echo))
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = nil
	want(t, call(t, "http.get", secure.URL, nil), run.Failure, "certificate")

	plain := server(t, echo)
	want(t, call(t, "http.get", strings.Replace(plain, "http:", "https:", 1), nil), run.Failure, "TLS")

	hang := server(t, func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	want(t, callWith(ctx, web.Config{}, "http.get", hang, nil), run.Timeout)
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	want(t, callWith(ctx, web.Config{}, "http.get", hang, nil), run.Stopped)
}

func TestMistakes(t *testing.T) {
	u := "http://127.0.0.1:1"
	for _, c := range []struct {
		url  string
		args map[string]any
		say  string
	}{
		{"ftp://x", nil, "http://"}, {"/path", nil, "http://"}, {"http://%zz", nil, "not a web address"}, {"http://a:b@host", nil, "headers"},
		{u, map[string]any{"query": "a=b"}, "record"}, {u, map[string]any{"query": map[string]any{"a": map[string]any{}}}, "a:"},
		{u, map[string]any{"body": "a", "form": map[string]any{}}, "not both"}, {u, map[string]any{"headers": "X: y"}, "record"},
		{u, map[string]any{"headers": map[string]any{"X": "a\r\nY: b"}}, "one line"}, {u, map[string]any{"headers": map[string]any{"X Y": "a"}}, "one line"},
		{u, map[string]any{"headers": map[string]any{"X": types.Secret{Name: "gone"}}}, "gone"},
		{u, map[string]any{"body": types.FileValue{Name: "big.bin", Size: 9}}, "big.bin"},
	} {
		want(t, call(t, "http.post", c.url, c.args), run.Failure, c.say)
	}
	want(t, call(t, "http.brew", u, nil), run.Failure)
}

func TestSignatures(t *testing.T) {
	for _, s := range web.New(web.Config{}).Signatures() {
		reads := s.Name == "http.get" || s.Name == "http.head"
		if reads != (s.Effect == types.Read) || s.Idempotent != (reads || s.Name == "http.put" || s.Name == "http.delete") || !s.World || s.Text != types.URL || !s.Params[0].Host || !s.Params[1].Secret {
			t.Errorf("%+v", s)
		}
	}
}
