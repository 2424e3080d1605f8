package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

// writeJSON writes v with letters and < > & as they are.
func writeJSON(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client is gone
}

// send answers with a JSON document.
func send(w http.ResponseWriter, status int, v any) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	writeJSON(w, v)
	return nil
}

// page is a list as every list is sent.
type page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // cursor of the next page; null at the end
}

func pageOf[T any](items []T, next string) page[T] {
	p := page[T]{Items: items}
	if items == nil {
		p.Items = []T{}
	}
	if next != "" {
		p.Next = &next
	}
	return p
}

// mediaType is the kind of a body, without parameters.
func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// read reads a JSON body into v. A field that v does not have is a mistake, as in everything here: nothing is silently ignored.
func read(r *http.Request, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	return unmarshal(body, v)
}

// readBody reads a body that is JSON; one that is empty is an object without fields.
func readBody(r *http.Request) ([]byte, error) {
	if kind := mediaType(r); kind != "application/json" && kind != "" {
		return nil, problem("E_MEDIA_TYPE", "send application/json, not "+kind)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	return body, nil
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return problem("E_INVALID", "the body did not arrive whole")
}

// unmarshal reads JSON strictly and says where a mistake is.
func unmarshal(body []byte, v any) error {
	if tooDeep(body) {
		return problem("E_INVALID", fmt.Sprintf("the JSON is nested more than %d deep", maxDepth))
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return problem("E_INVALID", "there is text behind the JSON document")
		}
		return nil
	}
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		pointer := ""
		if kind.Field != "" {
			pointer = "/" + strings.ReplaceAll(kind.Field, ".", "/")
		}
		return problem("E_INVALID", "a field has the wrong type", Fault{pointer, fmt.Sprintf("this is a %s, and it should be %s", kind.Value, inJSON(kind.Type.Kind().String()))})
	case errors.As(err, &syntax):
		return problem("E_INVALID", fmt.Sprintf("this is not JSON: byte %d: %s", syntax.Offset, syntax.Error()))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return problem("E_INVALID", "the JSON ends too early")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, _ = strconv.Unquote(name)
		return problem("E_INVALID", "there is no field "+strconv.Quote(name), Fault{"/" + pointerPart(name), "no such field"})
	}
	return problem("E_INVALID", strings.TrimPrefix(err.Error(), "json: "))
}

// maxDepth is how deep lists and objects of a body may be nested. Nobody writes such a thing, and each level costs whoever walks through it a frame of its stack.
const maxDepth = 200

func tooDeep(body []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// inJSON is a kind of Go as people who write JSON know it.
func inJSON(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"), strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "struct", kind == "map":
		return "an object"
	case kind == "slice":
		return "a list"
	}
	return "a " + kind
}

// pointerPart escapes a name for a JSON Pointer.
func pointerPart(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// part is a variable of the path, decoded.
func part(r *http.Request, name string) string {
	raw := mux.Vars(r)[name]
	if text, err := url.PathUnescape(raw); err == nil {
		return text
	}
	return raw
}

// asked reads the query of a request, and knows which words mean something: others are mistakes.
type asked struct {
	values url.Values
	err    error
}

func query(r *http.Request, known ...string) *asked {
	q := &asked{values: r.URL.Query()}
	for name := range q.values {
		found := false
		for _, k := range known {
			found = found || k == name || strings.HasSuffix(k, ".") && strings.HasPrefix(name, k)
		}
		if !found {
			q.fault(name, "no such parameter; there are: "+strings.Join(known, ", "))
		}
	}
	return q
}

func (q *asked) fault(name, detail string) {
	if q.err == nil {
		q.err = problem("E_INVALID", "the query has a mistake", Fault{"/" + pointerPart(name), detail})
	}
}

func (q *asked) text(name string) string { return q.values.Get(name) }

// texts are the values of a parameter that may be repeated or hold several between commas.
func (q *asked) texts(name string) []string {
	var all []string
	for _, v := range q.values[name] {
		for word := range strings.SplitSeq(v, ",") {
			if word = strings.TrimSpace(word); word != "" {
				all = append(all, word)
			}
		}
	}
	return all
}

// number is otherwise when nothing is said.
func (q *asked) number(name string, otherwise, least, most int) int {
	text := q.values.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.fault(name, fmt.Sprintf("a whole number from %d to %d", least, most))
		return otherwise
	}
	return n
}

// duration reads 30s, 5m or a number of seconds.
func (q *asked) duration(name string, most time.Duration) time.Duration {
	text := q.values.Get(name)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		var seconds float64
		if seconds, err = strconv.ParseFloat(text, 64); err == nil {
			d = time.Duration(seconds * float64(time.Second))
		}
	}
	if err != nil || d < 0 {
		q.fault(name, "a time like 30s or 2m")
	}
	return min(max(d, 0), most)
}

func (q *asked) time(name string) time.Time {
	text := q.values.Get(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		q.fault(name, "a time as of RFC 3339, like 2026-11-27T15:04:05Z")
	}
	return t
}

func (q *asked) flag(name string) bool {
	text, ok := q.values.Get(name), q.values.Has(name)
	switch {
	case !ok || text == "false" || text == "0":
		return false
	case text == "" || text == "true" || text == "1":
		return true
	}
	q.fault(name, "true or false")
	return false
}
