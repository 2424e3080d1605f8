package machine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
)

// shows is what the open question at a path says will be done, a line for each call.
func (h *host) shows(path run.Path) []string {
	h.t.Helper()
	var lines []string
	for _, a := range h.question(path).Form.Actions {
		line := string(a.Path) + " " + a.Agent
		for _, s := range a.Sent {
			if s.Unknown {
				line += fmt.Sprintf(" %s=?", s.Name)
			} else {
				line += fmt.Sprintf(" %s=%s", s.Name, s.Value)
			}
		}
		if a.Fingerprint == "" {
			line += " (not all of it is known)"
		}
		lines = append(lines, line)
	}
	return lines
}

func (h *host) question(path run.Path) *run.AskWish {
	h.t.Helper()
	for w := range h.m.Open() {
		if ask, ok := w.(*run.AskWish); ok && ask.Path == path {
			return ask
		}
	}
	h.t.Fatalf("nobody is asked at %s", path)
	return nil
}

// asks records that the open question was shown, as a history keeps it: read back from its JSON. change may alter what was shown.
func (h *host) asks(path run.Path, change func(*run.Form)) {
	h.t.Helper()
	form := h.question(path).Form
	if change != nil {
		form.Actions = append([]run.Action(nil), form.Actions...)
		change(&form)
	}
	raw, err := run.EncodeFact(run.Fact{Seq: 1, At: h.now, Body: &run.Asked{Path: path, Form: form}})
	if err != nil {
		h.t.Fatal(err)
	}
	f, err := run.DecodeFact(raw)
	if err != nil {
		h.t.Fatal(err)
	}
	h.must(f.Body)
}

// A question waits for what the calls mention that it approves, and shows them as they will be made.
func TestAnApprovalShowsWhatItApproves(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		before []string // steps that end before anybody is asked
		want   []string
	}{
		"a condition": {`
draft = writer "a post"
ok = human.approve "Publish?"
output if ok == "yes" { http.post(url: "https://example.com/<<run.id>>", body: draft) } else { archive "no: <<draft>>" }
`, []string{"draft"}, []string{`output/then http.post url="https://example.com/r1" body="DRAFT"`}},
		"a gate, with what stands between": {`
a = writer "a"
b = writer "b"
let both = "<<a>>+<<b>> & <c>"
ok = human.approve "Go?"
require ok == "yes" else "not approved"
done = shell(env: {X: both}) "echo <<a>>"
`, []string{"a", "b"}, []string{`done shell argv=["echo","A"] env={"X":"A+B \u0026 \u003cc\u003e"}`}},
		"after, and what does not depend on it": {`
ok = human.approve "Go?"
one = shell "one" after ok
two = shell "two"
output ok
`, nil, []string{`one shell argv=["one"]`}},
		"what follows from it": {`
ok = human.approve "Go?"
require ok == "yes" else "not approved"
post = writer "a post"
sent = shell "send <<post>> <<ok>>"
`, nil, []string{`sent shell argv=? (not all of it is known)`}},
		"a secret": {`
secret token
ok = human.approve "Go?"
require ok == "yes" else "not approved"
sent = http.post(url: "https://example.com", headers: {k: token}, body: "x")
`, nil, []string{`sent http.post url="https://example.com" body="x" headers={"k":"‹secret token›"}`}},
		"many": {`
xs = writer "two" as [string]
ok = human.approve "Go?"
if ok == "yes" { map x in xs { shell "send <<x>>" } }
`, []string{"xs"}, []string{`output/then[0] shell argv=["send","1"]`, `output/then[1] shell argv=["send","2"]`}},
		"the value of a block": {`
n = writer "how many" as int
ok = if n > 1 { human.approve "Many. Go?" } else { output "yes" }
require ok == "yes" else "not approved"
sent = shell "send <<n>>"
`, []string{"n"}, []string{`sent shell argv=["send","3"]`}},
		"what will not be done": {`
ok = human.approve "Go?"
require ok == "no" else "not approved"
sent = shell "send"
`, nil, nil},
		"a fallback": {`
ok = human.approve "Go?"
require ok == "yes" else "not approved"
sent = shell "send" else { shell "tell <<error.message>>" }
`, nil, []string{`sent shell argv=["send"]`, `sent/else shell argv=? (not all of it is known)`}},
	} {
		t.Run(name, func(t *testing.T) {
			h := begin(t, tt.script, nil)
			answers := map[string]any{"draft": "DRAFT", "a": "A", "b": "B", "xs": []any{"1", "2"}, "n": 3}
			for _, step := range tt.before {
				for w := range h.m.Open() {
					if _, ok := w.(*run.AskWish); ok {
						t.Errorf("it is asked before %s has ended", step)
					}
				}
				h.answer(run.Path(step), answers[step])
			}
			path := run.Path("ok")
			if name == "the value of a block" {
				path = "ok/then"
			}
			if diff := cmp.Diff(tt.want, h.shows(path)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const publish = `
draft = writer "a post"
ok = human.approve "Publish?"
output if ok == "yes" { http.post(url: "https://example.com", body: draft) else "kept" } else { archive "no: <<ok>>" }
`

// What was approved is what is done: a call that would be made otherwise than the history shows is not made.
func TestOnlyWhatWasApprovedIsDone(t *testing.T) {
	other := json.RawMessage(`"another"`)
	for name, tt := range map[string]struct {
		answer string
		change func(*run.Form)
		calls  string
		fails  string
	}{
		"as it was shown":                 {"yes", nil, "output/then", ""},
		"in a history that shows nothing": {"yes", func(f *run.Form) { f.Actions = nil }, "output/then", ""},
		"another argument":                {"yes", func(f *run.Form) { f.Actions[0].Sent = []run.Sent{f.Actions[0].Sent[0], {Name: "body", Value: other}} }, "", "another body"},
		"one more argument":               {"yes", func(f *run.Form) { f.Actions[0].Sent = f.Actions[0].Sent[:1] }, "", "another body"},
		"one argument less": {"yes", func(f *run.Form) {
			f.Actions[0].Sent = append(f.Actions[0].Sent[:2:2], run.Sent{Name: "zeal", Value: other})
		}, "", "another zeal"},
		"another fingerprint":     {"yes", func(f *run.Form) { f.Actions[0].Fingerprint = strings.Repeat("0", 64) }, "", "another agent"},
		"a no, whatever is shown": {"no", func(f *run.Form) { f.Actions[0].Path = "output/else" }, "output/else", ""},
		"an argument that was not known then": {"yes", func(f *run.Form) {
			f.Actions[0].Fingerprint, f.Actions[0].Sent[1] = "", run.Sent{Name: "body", Unknown: true}
		}, "output/then", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := begin(t, strings.Replace(publish, ` else "kept" }`, " }", 1), nil)
			h.answer("draft", "a <post> & more")
			h.asks("ok", tt.change)
			h.must(&run.Answered{Path: "ok", Value: tt.answer, By: "ada"})
			if tt.fails == "" {
				h.calls(tt.calls)
				return
			}
			for w := range h.m.Open() {
				end, ok := w.(*run.FinishWish)
				if !ok {
					t.Fatalf("it wants %v", w.ID())
				}
				if e := end.Finished.Error; e == nil || e.Code != "E_APPROVAL" || e.Kind != "approval" || e.Path != "output/then" || !strings.Contains(e.Message, tt.fails) {
					t.Errorf("it ends with %+v", e)
				}
			}
		})
	}
}

// An attempt that is repeated was approved once, and a second question about the same call counts too.
func TestTwoApprovalsOfOneCall(t *testing.T) {
	const script = `
a = human.approve "Ada?"
b = human.approve "Bob?"
require a == "yes" and b == "yes" else "not approved"
output shell "go"
`
	h := begin(t, script, nil)
	h.asks("a", nil)
	h.must(&run.Answered{Path: "a", Value: "yes"})
	h.asks("b", func(f *run.Form) { f.Actions[0].Fingerprint = "other" })
	h.must(&run.Answered{Path: "b", Value: "yes"})
	for w := range h.m.Open() {
		if end, ok := w.(*run.FinishWish); !ok || end.Finished.Error.Code != "E_APPROVAL" {
			t.Errorf("it wants %v", w)
		}
	}
}
