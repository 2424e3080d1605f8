// Package http asks web services: http.get and http.head read, http.post, http.put, http.patch and http.delete do.
//
// An answer is {status, type, headers, body, json}; a status of 400 or more is a failure. A header that holds a secret goes to the host it was
// written for and, when that host redirects, to no other. Which addresses may be reached is Config.Networks.
package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// Config of a web client. The zero value works.
type Config struct {
	MaxBody      int64         // bytes of an answer, unpacked; 0 is 10 MiB
	MaxRedirects int           // 0 is 10; negative: none
	FirstByte    time.Duration // from the request to the beginning of its answer; 0 is 60 s
	Timeout      time.Duration // of a call in all, with its redirects; 0 is 5 min
	Networks     Networks      // that it may reach
}

// New returns an agent with the six capabilities.
func New(c Config) agent.Agent { return newClient(c, nil, public) }

// newClient is New with what tests change: who looks up names, and which addresses count as the internet.
func newClient(c Config, resolver *net.Resolver, public func(netip.AddrPort) bool) *client {
	if c.MaxBody == 0 {
		c.MaxBody = 10 << 20
	}
	if c.MaxRedirects == 0 {
		c.MaxRedirects = 10
	}
	if c.FirstByte == 0 {
		c.FirstByte = time.Minute
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Minute
	}
	made := &client{Config: c, resolver: resolver, public: public}
	made.open, made.guarded = made.transport(false), made.transport(true)
	return made
}

type client struct {
	Config
	resolver      *net.Resolver // nil: the one of the system
	public        func(netip.AddrPort) bool
	open, guarded *http.Transport // each with connections of its own: one that was made without the guard is never used with it
}

// methods in the order they are listed; a repeated PUT or DELETE does no more than one.
var methods = []struct {
	name, method, doc string
	effect            types.Effect
	idempotent        bool
}{
	{"http.get", http.MethodGet, "Reads a web address.", types.Read, true},
	{"http.head", http.MethodHead, "Asks for the headers of a web address.", types.Read, true},
	{"http.post", http.MethodPost, "Sends a body to a web address.", types.Do, false},
	{"http.put", http.MethodPut, "Puts a body at a web address.", types.Do, true},
	{"http.patch", http.MethodPatch, "Changes what is at a web address.", types.Do, false},
	{"http.delete", http.MethodDelete, "Deletes what is at a web address.", types.Do, true},
}

// Signatures of the six.
func (c *client) Signatures() []types.Signature {
	maybe := types.Type{Kind: types.Any, Optional: true}
	params := []types.Param{
		{Name: "url", Type: types.Type{Kind: types.String}, Required: true, Host: true, Doc: "the address; its host never comes from text of the world"},
		{Name: "headers", Type: maybe, Secret: true, Doc: "a record, such as {Authorization: \"Bearer …\"}"},
		{Name: "query", Type: maybe, Doc: "a record that is put behind the address; a list repeats its name"},
	}
	sent := append(slices.Clone(params),
		types.Param{Name: "body", Type: maybe, Doc: "a string or file is sent as it is, anything else as JSON"},
		types.Param{Name: "form", Type: maybe, Doc: "a record, sent as a web form"})
	result := types.Type{Kind: types.Record, Fields: []types.Field{
		{Name: "status", Type: types.Type{Kind: types.Int}},
		{Name: "type", Type: types.Type{Kind: types.String}, Doc: "the media type, such as application/json"},
		{Name: "headers", Type: types.Type{Kind: types.Any}, Doc: "by their names in lower case"},
		{Name: "body", Type: types.Type{Kind: types.String}},
		{Name: "json", Type: maybe, Doc: "the body, read as JSON when its type says so"},
	}}
	var all []types.Signature
	for _, m := range methods {
		s := types.Signature{
			Name: m.name, Use: m.name, Doc: m.doc, Params: params, Primary: "url", Text: types.URL, Result: result,
			Effect: m.effect, Kind: types.Call, Idempotent: m.idempotent, World: true, Version: "1",
		}
		if m.effect == types.Do {
			s.Params = sent
		}
		all = append(all, s)
	}
	return all
}

// Call sends one request, follows its redirects and reads the answer.
func (c *client) Call(ctx context.Context, call *agent.Call) agent.Reply {
	method := ""
	for _, m := range methods {
		if call.Callee != nil && m.name == call.Callee.Use {
			method = m.method
		}
	}
	if method == "" {
		return agent.Fail(run.Failure, "this is no capability of http")
	}
	secrets := outcome.NewSecrets(call.Secret)
	reply := c.send(ctx, method, call, secrets)
	reply.Message = secrets.Black(reply.Message)
	return reply
}

func (c *client) send(ctx context.Context, method string, call *agent.Call, secrets *outcome.Secrets) agent.Reply {
	limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, errLate)
	defer cancel()
	req, guarded, err := request(limited, method, call, secrets)
	if err != nil {
		return agent.Fail(run.Failure, err.Error())
	}
	hop := &hops{max: c.MaxRedirects, method: method, guarded: guarded}
	way := &route{client: c}
	resp, err := (&http.Client{Transport: way, CheckRedirect: hop.check}).Do(req)
	where := fmt.Sprintf("%s %s", method, place(req.URL))
	if err != nil {
		if reply, ended := outcome.Ended(ctx); ended {
			return reply
		}
		var no redirectError
		if errors.As(err, &no) {
			return agent.Fail(run.Failure, where+" "+string(no))
		}
		if why, refused := way.refused(err); refused {
			return agent.Fail(run.Denied, where+" "+why)
		}
		if why, late := c.late(limited, err); late {
			return agent.Fail(run.Timeout, where+" "+why)
		}
		o, why := outcome.Connection(err, req.URL.Host)
		return agent.Fail(o, where+" failed: "+why)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.MaxBody+1))
	if reply, ended := outcome.Ended(ctx); ended && err != nil {
		return reply
	}
	if resp.StatusCode >= 400 {
		message := fmt.Sprintf("%s answered %s", where, status(resp))
		if text := outcome.Brief(string(body), 500, false); text != "" {
			message += ":\n" + text
		}
		return agent.Reply{Outcome: outcome.Of(resp.StatusCode), Message: message, RetryAfter: outcome.RetryAfter(resp.Header, time.Now())}
	}
	if why, late := c.late(limited, err); late {
		return agent.Fail(run.Timeout, where+" "+why)
	}
	if err != nil {
		o, why := outcome.Connection(err, req.URL.Host)
		return agent.Fail(o, where+" broke off while answering: "+why)
	}
	if int64(len(body)) > c.MaxBody {
		return agent.Fail(run.Failure, fmt.Sprintf("%s answered with more than %d bytes", where, c.MaxBody))
	}
	value, err := answer(resp, body)
	if err != nil {
		return agent.Fail(run.Failure, where+" "+err.Error())
	}
	return agent.Reply{Value: value}
}

var errLate = errors.New("the time of the call is over")

// late says which of our limits an answer has overrun, as the rest of a sentence.
func (c *client) late(limited context.Context, err error) (why string, late bool) {
	var slow net.Error
	switch {
	case err == nil:
		return "", false
	case errors.Is(context.Cause(limited), errLate):
		return fmt.Sprintf("took longer than %v and was stopped: `timeout` below [agents.http] in slop.toml allows more", c.Timeout), true
	case errors.As(err, &slow) && slow.Timeout() && strings.Contains(err.Error(), "awaiting response headers"):
		return fmt.Sprintf("did not begin to answer within %v: `first_byte_timeout` below [agents.http] in slop.toml allows more", c.FirstByte), true
	}
	return "", false
}

// request builds what the call describes. guarded lists the headers that hold secrets.
func request(ctx context.Context, method string, call *agent.Call, secrets *outcome.Secrets) (req *http.Request, guarded []string, err error) {
	text := call.Text
	if text == nil {
		text = call.Args["url"]
	}
	address, ok := text.(string)
	if !ok {
		return nil, nil, errors.New("the address must be a text without secrets: secrets go into headers")
	}
	u, err := url.Parse(strings.TrimSpace(address))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("this is not a web address: %s", outcome.Brief(address, 200, false))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, nil, fmt.Errorf("a web address begins with http:// or https:// and a host: %s", outcome.Brief(address, 200, false))
	case u.User != nil:
		return nil, nil, errors.New("a name and password do not belong in an address: use headers: {Authorization: …}")
	case odd(u.Hostname()):
		return nil, nil, fmt.Errorf("the host %s is a number: an address is written as 192.0.2.1", outcome.Brief(u.Hostname(), 100, false))
	case climbs(u):
		return nil, nil, fmt.Errorf("a value in the path of the address is `.` or `..`, which servers read as another path: %s", outcome.Brief(place(u), 200, false))
	}
	if err := addQuery(u, call.Args["query"]); err != nil {
		return nil, nil, err
	}
	body, contentType, err := payload(call.Args["body"], call.Args["form"])
	if err != nil {
		return nil, nil, err
	}
	if body == "" && contentType == "" {
		req, err = http.NewRequestWithContext(ctx, method, u.String(), nil)
	} else {
		req, err = http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("this cannot be asked: %w", err)
	}
	req.Header.Set("User-Agent", "slop")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if method != http.MethodGet && method != http.MethodHead && call.Key != "" {
		req.Header.Set("Idempotency-Key", call.Key)
	}
	guarded, err = addHeaders(req, call.Args["headers"], secrets)
	return req, guarded, err
}

// climbs reports whether a value stands in the path as `.` or `..`. Its dots were encoded when it was put there, but to a server they mean the same (RFC 3986, 6.2.2.2).
func climbs(u *url.URL) bool {
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		if plain, err := url.PathUnescape(segment); err == nil && plain != segment && (plain == "." || plain == "..") {
			return true
		}
	}
	return false
}

func addHeaders(req *http.Request, headers any, secrets *outcome.Secrets) (guarded []string, err error) {
	if headers == nil {
		return nil, nil
	}
	record, ok := headers.(map[string]any)
	if !ok {
		return nil, errors.New("headers must be a record, such as {Accept: \"text/plain\"}")
	}
	for name, written := range record {
		opened, err := secrets.Open(written)
		if err != nil {
			return nil, err
		}
		values, err := texts(opened)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		if !token(name) || slices.ContainsFunc(values, func(v string) bool { return strings.ContainsFunc(v, control) }) {
			return nil, fmt.Errorf("header %q: a header is one line without control characters", name)
		}
		req.Header.Del(name)
		for _, v := range values {
			req.Header.Add(name, v)
		}
		if http.CanonicalHeaderKey(name) == "Host" && len(values) > 0 {
			req.Host = values[0]
		}
		if holdsSecret(written) || slices.Contains(credentials, http.CanonicalHeaderKey(name)) {
			guarded = append(guarded, name)
		}
	}
	return guarded, nil
}

// credentials are headers that are guarded however they were written.
var credentials = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key"}

func holdsSecret(v any) bool {
	switch v := v.(type) {
	case types.Secret, types.Parts:
		return true
	case []any:
		return slices.ContainsFunc(v, holdsSecret)
	}
	return false
}

// control reports whether a character cannot stand in a header (RFC 9110, 5.5).
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// token reports whether name may name a header (RFC 9110, 5.1).
func token(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func addQuery(u *url.URL, query any) error {
	if query == nil {
		return nil
	}
	values, err := fields(query)
	if err != nil {
		return fmt.Errorf("query %w", err)
	}
	if u.RawQuery != "" && len(values) > 0 {
		u.RawQuery += "&"
	}
	u.RawQuery += values.Encode()
	return nil
}

// payload is the body of a request and its media type.
func payload(body, form any) (text, contentType string, err error) {
	switch {
	case body != nil && form != nil:
		return "", "", errors.New("a request has either a body or a form, not both")
	case form != nil:
		values, err := fields(form)
		if err != nil {
			return "", "", fmt.Errorf("form %w", err)
		}
		return values.Encode(), "application/x-www-form-urlencoded", nil
	}
	switch v := body.(type) {
	case nil:
		return "", "", nil
	case string:
		return v, "text/plain; charset=utf-8", nil
	case types.FileValue:
		if v.Data == nil && v.Size > 0 {
			return "", "", fmt.Errorf("the bytes of %s are not at hand", v.Name)
		}
		if v.Type == "" {
			v.Type = "application/octet-stream"
		}
		return string(v.Data), v.Type, nil
	default:
		text, err := jsonvalue.Text(v)
		if err != nil {
			return "", "", fmt.Errorf("the body cannot be written as JSON: %w", err)
		}
		return text, "application/json", nil
	}
}

// fields reads a record of texts, numbers, booleans and lists of them. A field that is nothing is left out.
func fields(v any) (url.Values, error) {
	record, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("must be a record, such as {name: \"value\"}")
	}
	values := url.Values{}
	for name, field := range record {
		if field == nil {
			continue
		}
		list, err := texts(field)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = list
	}
	return values, nil
}

func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case bool, int, float64:
		text, err := jsonvalue.Text(v)
		return []string{text}, err
	case []any:
		var all []string
		for _, item := range v {
			list, err := texts(item)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
		return all, nil
	}
	return nil, errors.New("a value here is a string, number, boolean or a list of them")
}

// hops decides about redirects.
type hops struct {
	max     int
	method  string
	guarded []string
}

// redirectError says why a redirect was not followed, as the rest of a sentence.
type redirectError string

func (e redirectError) Error() string { return string(e) }

func (h *hops) check(req *http.Request, via []*http.Request) error {
	if len(via) > h.max {
		return redirectError(fmt.Sprintf("redirected more than %d times", max(h.max, 0)))
	}
	if s := req.Response.StatusCode; req.Method != h.method && s != http.StatusSeeOther {
		// A browser would turn this into a GET, and what was to be done would not be done.
		return redirectError(fmt.Sprintf("is redirected (%d) to %s: call that address", s, place(req.URL)))
	}
	first := via[0].URL
	stranger := false
	for _, r := range append(slices.Clone(via[1:]), req) {
		stranger = stranger || r.URL.Host != first.Host || r.URL.Scheme != first.Scheme && r.URL.Scheme != "https"
	}
	if stranger { // net/http copies the headers of the first request at every hop, so they are removed at every hop
		for _, name := range h.guarded {
			req.Header.Del(name)
		}
		req.Header.Del("Referer")
	}
	return nil
}

// answer is the value of a response.
func answer(resp *http.Response, body []byte) (map[string]any, error) {
	media, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		media, params = "", nil
	}
	text, err := decode(body, params["charset"])
	if err != nil {
		return nil, fmt.Errorf("answered with %d bytes of %s, which is not text", len(body), orElse(media, "an unknown type"))
	}
	headers := map[string]any{}
	for name, values := range resp.Header {
		headers[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "�")
	}
	value := map[string]any{"status": resp.StatusCode, "type": media, "headers": headers, "body": text, "json": nil}
	if media == "application/json" || strings.HasSuffix(media, "+json") {
		if v, err := jsonvalue.Parse([]byte(text)); err == nil {
			value["json"] = v
		}
	}
	return value, nil
}

// decode reads a body as text. Of the many charsets of the web only the two that still occur are read.
func decode(body []byte, charset string) (string, error) {
	switch strings.ToLower(charset) {
	case "iso-8859-1", "latin1", "windows-1252":
		var b strings.Builder
		for _, c := range body {
			r := rune(c)
			if c >= 0x80 && c < 0xa0 {
				r = windows1252[c-0x80]
			}
			b.WriteRune(r)
		}
		return b.String(), nil
	}
	if !utf8.Valid(body) {
		return "", errors.New("not UTF-8")
	}
	return strings.TrimPrefix(string(body), "\ufeff"), nil
}

// windows1252 is where it differs from Latin-1; browsers read Latin-1 this way, too.
var windows1252 = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// place is an address as it may be shown: without its query, which may hold anything.
func place(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func status(resp *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
