package cassette

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/atomicfile"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// Schema names the form of a recording.
const Schema = "slop.cassette/1"

// blobFolder is where what is large stands beside the recordings, under its hash.
const blobFolder = "blobs"

// maxInline is the longest text that stands in a recording itself.
const maxInline = 64 << 10

// document is a recording as it is written. Values are as run.EncodeValue has them, but for texts of several lines: {"$lines":[…]}, so that a change of one line is
// a change of one line.
type document struct {
	Schema  string                     `json:"schema"`
	Flow    string                     `json:"flow"`
	ID      run.ID                     `json:"id,omitempty"`
	Started time.Time                  `json:"started,omitzero"`
	Options run.Options                `json:"options,omitzero"`
	Inputs  map[string]json.RawMessage `json:"inputs"`
	Calls   []entry                    `json:"calls"`
	Status  run.Status                 `json:"status"`
	Output  json.RawMessage            `json:"output,omitempty"`
	Error   *run.Error                 `json:"error,omitempty"`
}

type entry struct {
	Step        run.Path        `json:"step"`
	Attempt     int             `json:"attempt,omitempty"`
	Agent       string          `json:"agent"`
	Use         string          `json:"use,omitempty"`
	Sent        json.RawMessage `json:"sent"`
	Fingerprint string          `json:"fingerprint"`
	Answer      json.RawMessage `json:"answer,omitempty"`
	Failed      *failure        `json:"failed,omitempty"`
	Usage       run.Usage       `json:"usage,omitzero"`
}

type failure struct {
	Outcome    run.Outcome     `json:"outcome"`
	Message    string          `json:"message"`
	Problems   []string        `json:"problems,omitempty"`
	Answer     json.RawMessage `json:"answer,omitempty"`
	RetryAfter time.Duration   `json:"retryAfter,omitempty"`
	Form       *run.Form       `json:"form,omitempty"`
	Token      string          `json:"token,omitempty"`
}

// writer puts values into a document and what is large aside.
type writer struct {
	blobs map[string][]byte
	err   error
}

func (w *writer) value(v any) json.RawMessage {
	raw, err := shown(w.aside(v))
	if err != nil && w.err == nil {
		w.err = err
	}
	return raw
}

func (w *writer) aside(v any) any {
	switch v := v.(type) {
	case string:
		if len(v) > maxInline {
			sum := hash([]byte(v))
			w.blobs[sum] = []byte(v)
			return types.Large{SHA256: sum, Size: int64(len(v))}
		}
	case types.FileValue:
		if v.Data != nil {
			w.blobs[v.SHA256] = v.Data
		}
		return types.FileValue{Name: v.Name, Size: v.Size, Type: v.Type, SHA256: v.SHA256}
	}
	return each(v, w.aside)
}

// shown is a value as it stands in a document.
func shown(v any) (json.RawMessage, error) {
	raw, err := run.EncodeValue(v)
	if err != nil {
		return nil, err
	}
	tree, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return encode(spread(tree), "")
}

func parse(raw []byte) (tree any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // 3 and 3.0 are not the same
	err = d.Decode(&tree)
	return tree, err
}

func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}

const linesKey = "$lines"

// spread writes a text of several lines as its lines.
func spread(tree any) any {
	if s, ok := tree.(string); ok && strings.Contains(s, "\n") {
		var lines []any
		for _, line := range strings.Split(s, "\n") {
			lines = append(lines, line)
		}
		return map[string]any{linesKey: lines}
	}
	return each(tree, spread)
}

// gather undoes spread.
func gather(tree any) any {
	record, ok := tree.(map[string]any)
	if !ok {
		return each(tree, gather)
	}
	if lines, ok := record[linesKey].([]any); ok && len(record) == 1 {
		words := make([]string, len(lines))
		for i, line := range lines {
			words[i], _ = line.(string)
		}
		return strings.Join(words, "\n")
	}
	if inner, ok := record["$map"].(map[string]any); ok && len(record) == 1 {
		return map[string]any{"$map": each(inner, gather)} // its keys are the author's
	}
	return each(tree, gather)
}

// read is the value that shown wrote.
func read(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	tree, err := parse(raw)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(gather(tree))
	if err != nil {
		return nil, err
	}
	return run.DecodeValue(text)
}

// FileName is what a recording is called: by its flow and, when it was given inputs, by these.
func (r *Recording) FileName() string {
	name := filepath.Base(r.Flow)
	if len(r.Inputs) > 0 {
		raw, err := run.EncodeValue(bounded(r.Inputs))
		if err == nil {
			name += "-" + hash(raw)[:8]
		}
	}
	return name + ".json"
}

// encode gives the text of a recording, and what stands beside it.
func (r *Recording) encode() ([]byte, map[string][]byte, error) {
	w := &writer{blobs: map[string][]byte{}}
	d := document{
		Schema: Schema, Flow: r.Flow, ID: r.ID, Started: r.Started, Options: r.Options, Inputs: map[string]json.RawMessage{}, Calls: []entry{},
		Status: r.Status, Error: r.Error,
	}
	for name, v := range r.Inputs {
		d.Inputs[name] = w.value(v)
	}
	for _, c := range r.Calls {
		sent, err := shown(c.Sent)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.Path, err)
		}
		e := entry{Step: c.Path, Attempt: c.Attempt, Agent: c.Agent, Use: c.Use, Sent: sent, Fingerprint: c.Fingerprint, Usage: c.Usage}
		if c.Done {
			e.Answer = w.value(c.Value)
		}
		if f := c.Failed; f != nil {
			e.Failed = &failure{Outcome: f.Outcome, Message: f.Message, Problems: f.Problems, RetryAfter: f.RetryAfter, Form: f.Form, Token: f.Token}
			if f.Answer != nil {
				e.Failed.Answer = w.value(f.Answer)
			}
		}
		d.Calls = append(d.Calls, e)
	}
	if r.Status == run.Succeeded {
		d.Output = w.value(r.Output)
	}
	if w.err != nil {
		return nil, nil, w.err
	}
	text, err := encode(d, "  ")
	return text, w.blobs, err
}

// Save writes a recording into a folder, which is made when it is not there, in the place of one of the same flow and inputs. redact is the last to look: what must
// not be kept and stands in bytes beside the recording is refused.
func (r *Recording) Save(folder string, redact func(string) string) (path string, err error) {
	text, blobs, err := r.encode()
	if err != nil {
		return "", err
	}
	for sum, data := range blobs {
		if redact(string(data)) != string(data) {
			return "", fmt.Errorf("the value of a secret stands in a file of the run (%s)", sum)
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if len(blobs) > 0 {
		if err := os.MkdirAll(filepath.Join(folder, blobFolder), 0o755); err != nil {
			return "", err
		}
	}
	for sum, data := range blobs {
		if err := atomicfile.Write(filepath.Join(folder, blobFolder, sum), data, 0o644); err != nil {
			return "", err
		}
	}
	path = filepath.Join(folder, r.FileName())
	if err := atomicfile.Write(path, []byte(redact(string(text))), 0o644); err != nil {
		return "", err
	}
	return path, sweep(folder)
}

// sweep removes what stood beside recordings that are recorded anew.
func sweep(folder string) error {
	blobs, err := os.ReadDir(filepath.Join(folder, blobFolder))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(blobs) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	var all strings.Builder
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all.Write(text)
	}
	for _, b := range blobs {
		if name := b.Name(); len(name) == len(hash(nil)) && !strings.Contains(all.String(), name) {
			if err := os.Remove(filepath.Join(folder, blobFolder, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Load reads all recordings of a folder, by name. JSON of another kind is left alone.
func Load(folder string) ([]*Recording, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var out []*Recording
	for _, f := range files {
		if f.IsDir() || filepath.Ext(f.Name()) != ".json" {
			continue
		}
		path := filepath.Join(folder, f.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r, err := decode(text, filepath.Join(folder, blobFolder))
		if err != nil {
			return nil, fmt.Errorf("%s cannot be replayed: %w", path, err)
		}
		if r != nil {
			r.Name = path
			out = append(out, r)
		}
	}
	return out, nil
}

// decode reads a recording; nil: the text is of another kind.
func decode(text []byte, beside string) (*Recording, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("it is no recording: %w", err)
	}
	kind, _, _ := strings.Cut(Schema, "/")
	switch {
	case d.Schema == Schema:
	case strings.HasPrefix(d.Schema, kind+"/"):
		return nil, fmt.Errorf("it is of the form %q, this program reads %q", d.Schema, Schema)
	default:
		return nil, nil
	}
	r := &Recording{
		Flow: d.Flow, ID: d.ID, Started: d.Started, Options: d.Options, Status: d.Status, Error: d.Error, Inputs: map[string]any{},
	}
	blobs := map[string][]byte{}
	value := func(raw json.RawMessage) (any, error) {
		v, err := read(raw)
		if err == nil {
			err = fetch(v, beside, blobs)
		}
		return travel.Whole(v, blobs), err
	}
	var err error
	for name, raw := range d.Inputs {
		if r.Inputs[name], err = value(raw); err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
	}
	for _, e := range d.Calls {
		c := &Call{Path: e.Step, Attempt: e.Attempt, Agent: e.Agent, Use: e.Use, Usage: e.Usage, Done: len(e.Answer) > 0}
		sent, err := read(e.Sent)
		if err != nil {
			return nil, fmt.Errorf("step %s: %w", e.Step, err)
		}
		c.Sent, _ = sent.(map[string]any)
		if c.Fingerprint = fingerprint(c); c.Fingerprint != e.Fingerprint {
			return nil, fmt.Errorf("step %s: what was sent is not what its fingerprint says, so it was changed by hand: record again", e.Step)
		}
		if c.Value, err = value(e.Answer); err != nil {
			return nil, fmt.Errorf("step %s: %w", e.Step, err)
		}
		if f := e.Failed; f != nil {
			c.Failed = &run.CallFailed{Outcome: f.Outcome, Message: f.Message, Problems: f.Problems, RetryAfter: f.RetryAfter, Form: f.Form, Token: f.Token}
			if c.Failed.Answer, err = value(f.Answer); err != nil {
				return nil, fmt.Errorf("step %s: %w", e.Step, err)
			}
		}
		r.Calls = append(r.Calls, c)
	}
	if r.Output, err = value(d.Output); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return r, nil
}

// fetch reads what v names and stands beside the recording.
func fetch(v any, beside string, blobs map[string][]byte) error {
	get := func(sum string) error {
		if _, have := blobs[sum]; have || sum == "" {
			return nil
		}
		if len(sum) != len(hash(nil)) || strings.Trim(sum, "0123456789abcdef") != "" {
			return fmt.Errorf("%q is no hash", sum)
		}
		data, err := os.ReadFile(filepath.Join(beside, sum))
		if err != nil {
			return err
		}
		if hash(data) != sum {
			return fmt.Errorf("the bytes of %s are others", filepath.Join(beside, sum))
		}
		blobs[sum] = data
		return nil
	}
	switch v := v.(type) {
	case types.Large:
		return get(v.SHA256)
	case types.FileValue:
		if v.Data == nil {
			return get(v.SHA256)
		}
	}
	var err error
	each(v, func(x any) any {
		if err == nil {
			err = fetch(x, beside, blobs)
		}
		return x
	})
	return err
}

// parts of what is sent, as people look for them.
var parts = []string{"kind", "system", "text", "words", "args", "as", "choices", "repair", "told"}

// words is what is sent as lines.
func words(sent map[string]any) string {
	var b strings.Builder
	for _, part := range parts {
		v, ok := sent[part]
		if !ok {
			continue
		}
		text, isText := v.(string)
		if !isText {
			raw, err := shown(v)
			if err != nil {
				continue
			}
			var lines bytes.Buffer
			if json.Indent(&lines, raw, "", "  ") != nil {
				continue
			}
			text = strings.TrimSpace(lines.String())
		}
		b.WriteString(part + ": " + strings.TrimRight(text, "\n") + "\n")
	}
	return b.String()
}

// Readable is a value as people read it.
func Readable(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return strings.TrimPrefix(words(map[string]any{"text": bounded(v)}), "text: ")
}

// Named finds the recordings of a flow.
func Named(all []*Recording, flow string) []*Recording {
	return slices.DeleteFunc(slices.Clone(all), func(r *Recording) bool { return r.Flow != flow })
}
