package cassette

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

func asIs(s string) string { return s }

// What is written is read again to the letter: every kind of value, what failed, what nobody answered, and what stands beside the file.
func TestFile(t *testing.T) {
	big := strings.Repeat("a long\nanswer\n", 10_000)
	note := types.FileValue{Name: "a.txt", Type: "text/plain", Size: 5, SHA256: hash([]byte("hello")), Data: []byte("hello")}
	values := []any{
		nil, true, 3, 3.0, "", "one\n", "a\nb", "\xff", "<b>&amp;", big, note,
		[]any{map[string]any{"$lines": []any{"mine"}, "x": "a\nb"}, map[string]any{"$lines": []any{"a", "b"}}, map[string]any{"$map": 1}},
	}
	r := &Recording{Flow: "poem", Status: run.Succeeded, Output: big, Inputs: map[string]any{"note": note, "n": 3.0}, Options: run.Options{Timeout: time.Minute}}
	for i, v := range values {
		c := &Call{Path: run.Path("step").Item(i), Attempt: 1, Agent: "writer", Use: "claude", Sent: map[string]any{"text": bounded(v)}, Done: true, Value: v}
		c.Fingerprint = fingerprint(c)
		r.Calls = append(r.Calls, c)
	}
	failed := &Call{Path: "z", Attempt: 1, Sent: map[string]any{}, Usage: run.Usage{Calls: 1, Cost: plan.Money(7), CostSource: run.Reported}}
	failed.Failed = &run.CallFailed{Outcome: run.Invalid, Message: "no", Problems: []string{"kind: missing"}, Answer: map[string]any{"k": "a\nb"}, RetryAfter: time.Second}
	open := &Call{Path: "zz", Attempt: 1, Sent: map[string]any{}}
	for _, c := range []*Call{failed, open} {
		c.Fingerprint = fingerprint(c)
		r.Calls = append(r.Calls, c)
	}
	dir := t.TempDir()
	path, err := r.Save(dir, asIs)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Load(dir)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d recordings, %v", len(all), err)
	}
	r.Name = path
	for i := range r.Calls {
		if !reflect.DeepEqual(all[0].Calls[i], r.Calls[i]) {
			t.Errorf("call %d\nwritten %#v\nread    %#v", i, r.Calls[i], all[0].Calls[i])
		}
	}
	got := *all[0]
	want := *r
	got.Calls, want.Calls = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("written %#v\nread    %#v", want, got)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "a long") || !strings.Contains(string(text), "<b>&amp;") || !strings.Contains(string(text), `"one",`) {
		t.Error("the file is not as people would read it:\n" + string(text))
	}
	blobs, _ := os.ReadDir(filepath.Join(dir, blobFolder))
	if len(blobs) != 2 {
		t.Errorf("%d blobs, want 2", len(blobs))
	}

	// Recorded anew without what is large, nothing of it is left.
	again := &Recording{Flow: r.Flow, Status: run.Succeeded, Inputs: r.Inputs}
	if _, err := again.Save(dir, asIs); err != nil {
		t.Fatal(err)
	}
	if blobs, _ = os.ReadDir(filepath.Join(dir, blobFolder)); len(blobs) != 1 || blobs[0].Name() != note.SHA256 {
		t.Errorf("left beside it: %v", blobs)
	}
}

// What was sent is not changed by hand, a later form is refused, other JSON is left alone, and no path leads out of the folder.
func TestRefused(t *testing.T) {
	c := &Call{Path: "draft", Attempt: 1, Agent: "writer", Sent: map[string]any{"text": "About rain."}, Done: true, Value: "x"}
	c.Fingerprint = fingerprint(c)
	text, _, err := (&Recording{Flow: "poem", Status: run.Succeeded, Calls: []*Call{c}}).encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ from, to, want string }{
		{"About rain.", "About snow.", "changed by hand"},
		{Schema, "slop.cassette/2", "this program reads"},
		{`"answer": "x"`, `"answer": {"$large":{"sha256":"../../etc/passwd","size":1}}`, "is no hash"},
		{`"answer": "x"`, `"answer": {"$large":{"sha256":"` + hash(nil) + `","size":1}}`, "no such file"},
		{`"status": "succeeded"`, `"status": 3`, "it is no recording"},
	} {
		changed := strings.Replace(string(text), change.from, change.to, 1)
		if r, err := decode([]byte(changed), t.TempDir()); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: %+v, %v", change.to, r, err)
		}
	}
	if r, err := decode([]byte(`{"schema":"other/1"}`), ""); r != nil || err != nil {
		t.Errorf("other JSON: %v %v", r, err)
	}
}

// A secret in bytes beside the recording is refused; in its text it is blacked out.
func TestSecretsStay(t *testing.T) {
	redact := func(s string) string { return strings.ReplaceAll(s, "hunter22", "‹secret key›") }
	r := &Recording{Flow: "f", Status: run.Failed, Error: &run.Error{Code: "E_FAILED", Message: "key hunter22"}, Inputs: map[string]any{}}
	path, err := r.Save(t.TempDir(), redact)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); strings.Contains(string(text), "hunter22") || !strings.Contains(string(text), "‹secret key›") {
		t.Errorf("%s", text)
	}
	r.Inputs["f"] = types.FileValue{Name: "k", SHA256: hash([]byte("hunter22")), Data: []byte("hunter22")}
	if _, err := r.Save(t.TempDir(), redact); err == nil {
		t.Error("the bytes of a file with a secret were written")
	}
}

// Of calls that sent the same, the one at its place is taken, then those that were not given yet, and at last the last one again.
func TestTake(t *testing.T) {
	call := func(path run.Path, value string) *Call {
		c := &Call{Path: path, Attempt: 1, Agent: "a", Sent: map[string]any{"text": "same"}, Done: value != "", Value: value}
		c.Fingerprint = fingerprint(c)
		return c
	}
	p := Play(&Recording{Name: "r", Calls: []*Call{call("a", "1"), call("b", "2"), call("c", "3"), call("d", "")}})
	for _, ask := range []struct{ path, want string }{{"b", "2"}, {"x", "1"}, {"y", "3"}, {"d", ""}, {"z", ""}} {
		if got := p.Take(call(run.Path(ask.path), "")); got == nil || got.Value != ask.want {
			t.Errorf("%s: %+v, want %q", ask.path, got, ask.want)
		}
	}
	if left := p.Unused(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	other := call("b", "")
	other.Sent["text"] = "else"
	other.Fingerprint = fingerprint(other)
	if p.Take(other) != nil {
		t.Error("something else was taken")
	}
	if near, name := p.Near(other); near == nil || near.Path != "b" || name != "r" || !slices.Equal(Changes(near, other), []string{"text"}) {
		t.Errorf("near: %+v in %s", near, name)
	}
}

func TestNatural(t *testing.T) {
	paths := []string{"a[10]", "a[2]/b", "a[2]", "a", "b#10", "b#9/x", "a~1"}
	slices.SortFunc(paths, natural)
	if want := []string{"a", "a[2]", "a[2]/b", "a[10]", "a~1", "b#9/x", "b#10"}; !slices.Equal(paths, want) {
		t.Errorf("%v, want %v", paths, want)
	}
}
