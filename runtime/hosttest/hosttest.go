// Package hosttest runs the archives of testdata/spec that say how their run goes. Every host of runs passes the same archives.
//
// An archive has main.slop and the parts agents (see script), inputs and secrets (JSON objects), options ({"timeout": "30s", "maxParallel": 2, "calls": 5,
// "tokens": 100, "money": 0.5}), outside (`after 5s cancel "reason"`, `pause`, `resume`, `answer PATH VALUE`), and what is expected: out/history, a line a
// fact with the time of the run where it moved, and out/result; where an archive has out/notes, also what follows from the facts and is not said by them. A string that an input of type file is given names a part of the archive.
//
// The run lives in a bubble of testing/synctest, so hours cost nothing, and a conductor lets scripted agents answer in a fixed order.
package hosttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/stdlib/contexts"
	"github.com/slopstudios/slop/stdlib/echo"
)

// Run holds the engine to the archives of a folder.
func Run(t *testing.T, folder string) {
	count := 0
	for _, a := range langtest.Read(t, folder) {
		_, history := a.Part("out/history")
		_, result := a.Part("out/result")
		_, agents := a.Part("agents")
		if !history && !result && !(agents && langtest.Golden()) {
			if agents {
				t.Errorf("%s has agents and says nothing of a run; make golden writes out/history and out/result", a.Path)
			}
			continue
		}
		count++
		t.Run(a.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := stage{t: t, archive: a}
				s.play()
				if !t.Failed() || langtest.Golden() {
					fresh := !history && !result
					if history || fresh {
						a.Expect(t, "out/history", s.history())
					}
					if result || fresh {
						a.Expect(t, "out/result", s.result())
					}
					if _, notes := a.Part("out/notes"); notes {
						a.Expect(t, "out/notes", s.notes.String())
					}
				}
			})
		})
	}
	if count == 0 {
		t.Errorf("no archive in %s says how its run goes", folder)
	}
}

// Hashes of files differ, and messages name what is large.
var (
	hashes = regexp.MustCompile(`"sha256": "[0-9a-f]*"`)
	named  = regexp.MustCompile(`‹?a text of 0 KiB›?`)
)

// Shelved plays the archives of a folder with every text and file kept apart from the facts that name it, however short. Nothing but the history may show it:
// each run ends as its archive says. What it sends is judged by the same script, so a text that came back wrong would not be known there.
func Shelved(t *testing.T, folder string) {
	count, computed := 0, 0
	for _, a := range langtest.Read(t, folder) {
		if _, result := a.Part("out/result"); !result {
			continue
		}
		count++
		t.Run(a.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := stage{t: t, archive: a, inline: 1}
				s.play()
				computed += strings.Count(s.history(), " computed: ")
				want, _ := a.Part("out/result")
				want, got := hashes.ReplaceAllString(want, ""), hashes.ReplaceAllString(s.result(), "") // a file from an agent has none here
				if pieces := named.Split(got, -1); len(pieces) > 1 {
					for i, piece := range pieces {
						pieces[i] = regexp.QuoteMeta(strings.TrimSpace(piece))
					}
					if regexp.MustCompile("(?s)^" + strings.Join(pieces, ".*") + "$").MatchString(strings.TrimSpace(want)) {
						return
					}
				}
				if !t.Failed() && strings.TrimSpace(got) != strings.TrimSpace(want) {
					t.Errorf("the result is\n%s\nnot\n%s\nafter\n%s", got, want, s.history())
				}
			})
		})
	}
	if count == 0 || computed == 0 {
		t.Errorf("%d archives were played, %d expressions evaluated at the edge", count, computed)
	}
}

// stage is one archive being played.
type stage struct {
	t         *testing.T
	inline    int
	archive   *langtest.Archive
	plan      *plan.Plan
	store     *memory.Store
	engine    *engine.Engine
	id        run.ID
	conductor *conductor
	finished  run.Finished
	notes     strings.Builder
}

func (s *stage) play() {
	p, diags := lang.Compile(source.NewFile("main.slop", s.archive.Main()), langtest.Files(langtest.Scope(), s.archive.Files))
	if diags.HasErrors() {
		s.t.Fatalf("%s does not compile: %v", s.archive.Path, diags)
	}
	s.perform(p)
}

// perform runs a plan to its end.
func (s *stage) perform(p *plan.Plan) {
	t := s.t
	s.plan = p
	text, _ := s.archive.Part("agents")
	script, err := parseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	s.store = memory.New()
	s.conductor = newConductor(script, s.seq)
	s.engine = engine.New(engine.Config{Store: s.store, Registry: s.registry(), Secrets: s.secrets(), Inline: s.inline, Entropy: &dice{}})
	ctx := t.Context()
	s.id, err = s.engine.Start(ctx, p, s.inputs(), s.options())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	people, cancel := context.WithCancel(ctx)
	go s.people(people)
	go s.outside(people)
	go func() {
		defer close(done)
		s.finished, err = s.engine.Wait(ctx, s.id)
		if err != nil {
			t.Error(err)
		}
		cancel()
		if err := s.engine.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	s.conductor.conduct(done) // agents that are still at it play on while the engine closes
	s.verify()
}

// registry has a player for every capability but those that need no world.
func (s *stage) registry() *agent.Registry {
	r := agent.NewRegistry()
	add := func(name string, a agent.Agent) {
		if err := r.Register(name, a, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	add("echo", echo.New())
	add("memory", contexts.New())
	for name, sig := range langtest.Scope().Capabilities {
		if name == "echo" || strings.HasPrefix(name, "memory.") || sig.Kind != types.Call {
			continue
		}
		// Each of a family is an agent of its own here, under a name of its own.
		if err := r.Register(name, player{sig, s.conductor}, func(s *types.Signature) { s.Name = name }); err != nil {
			s.t.Fatal(err)
		}
	}
	return r
}

func (s *stage) json(part string, into any) {
	text, ok := s.archive.Part(part)
	if !ok {
		return
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.t.Fatalf("%s: %s: %v", s.archive.Path, part, err)
	}
}

func (s *stage) secrets() func(string) (string, error) {
	values := map[string]string{}
	s.json("secrets", &values)
	return func(name string) (string, error) {
		if v, ok := values[name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("it is not set")
	}
}

func (s *stage) inputs() map[string]any {
	text, ok := s.archive.Part("inputs")
	if !ok {
		return nil
	}
	v, err := run.DecodeValue([]byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	inputs, _ := v.(map[string]any)
	for _, in := range s.plan.Inputs {
		switch {
		case in.Type.Kind == types.File:
			inputs[in.Name] = s.file(inputs[in.Name])
		case in.Type.Kind == types.List && in.Type.Elem.Kind == types.File:
			list, _ := inputs[in.Name].([]any)
			for i := range list {
				list[i] = s.file(list[i])
			}
		}
	}
	return inputs
}

func (s *stage) file(v any) any {
	name, _ := v.(string)
	text, ok := s.archive.Part(name)
	if !ok {
		s.t.Fatalf("%s has no part %q for its input", s.archive.Path, name)
	}
	sum := sha256.Sum256([]byte(text))
	return types.FileValue{Name: name, Size: int64(len(text)), Type: "text/plain", SHA256: hex.EncodeToString(sum[:]), Data: []byte(text)}
}

func (s *stage) options() run.Options {
	var text struct {
		Timeout     string
		MaxParallel int
		Calls       int64
		Tokens      int64
		Money       float64
	}
	s.json("options", &text)
	o := run.Options{MaxParallel: text.MaxParallel}
	if text.Timeout != "" {
		d, err := parseDuration(text.Timeout)
		if err != nil {
			s.t.Fatal(err)
		}
		o.Timeout = d
	}
	for _, a := range []plan.Amount{{Calls: text.Calls}, {Tokens: text.Tokens}, {Money: plan.Money(text.Money * 1e6)}} {
		if a != (plan.Amount{}) {
			o.Budget = append(o.Budget, a)
		}
	}
	return o
}

// seq is when a call was started or a question asked, so that turns go in that order; calls that are free come first.
func (s *stage) seq(path run.Path, attempt int) run.Seq {
	facts, _ := s.store.Load(context.Background(), s.id, 0)
	for _, f := range slices.Backward(facts) {
		switch b := f.Body.(type) {
		case *run.CallStarted:
			if b.Path == path && b.Attempt == attempt {
				return f.Seq
			}
		case *run.Asked:
			if b.Path == path {
				return f.Seq
			}
		}
	}
	return 0
}

// people answer what they are asked, as the script says. A question that nobody has an answer for cancels the run.
func (s *stage) people(ctx context.Context) {
	folder := runs.Fold(s.plan).Named(s.id)
	for ev, err := range s.engine.Watch(ctx, s.id, 0) {
		if err != nil {
			return
		}
		if ev.Fact == nil {
			continue
		}
		folder.Add(*ev.Fact)
		asked, ok := ev.Fact.Body.(*run.Asked)
		if !ok {
			continue
		}
		step, _ := folder.Step(asked.Path)
		go func() {
			who := step.Agent
			if _, ok := asked.Path.Asker(); ok {
				who = "people" // who answers what an agent asks in mid-call
			}
			a, ended := s.conductor.perform(ctx, who, asked.Path, 1)
			if ended {
				return
			}
			var err error
			switch a.kind {
			case "value":
				err = s.engine.Answer(ctx, s.id, asked.Path, a.value, "")
			default:
				err = s.engine.Cancel(ctx, s.id, "", "nobody answers "+string(asked.Path))
			}
			if err != nil && ctx.Err() == nil {
				s.t.Errorf("answer %s: %v", asked.Path, err)
			}
		}()
	}
}

// outside does what the archive says happens from outside.
func (s *stage) outside(ctx context.Context) {
	text, _ := s.archive.Part("outside")
	began := time.Now()
	for _, row := range strings.Split(strings.TrimSpace(text), "\n") {
		if row == "" {
			continue
		}
		words := strings.SplitN(row, " ", 4)
		if len(words) < 3 || words[0] != "after" {
			s.t.Errorf("outside: what is `%s`?", row)
			return
		}
		at, err := parseDuration(words[1])
		if err != nil {
			s.t.Error(err)
			return
		}
		timer := time.NewTimer(time.Until(began.Add(at)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		rest := ""
		if len(words) == 4 {
			rest = words[3]
		}
		if err := s.do(ctx, words[2], rest); err != nil && ctx.Err() == nil {
			s.t.Errorf("outside: %s: %v", row, err)
		}
	}
}

func (s *stage) do(ctx context.Context, verb, rest string) error {
	reason := strings.Trim(rest, `"`)
	switch verb {
	case "cancel":
		return s.engine.Cancel(ctx, s.id, "", reason)
	case "pause":
		return s.engine.Pause(ctx, s.id, "", reason)
	case "resume":
		return s.engine.Resume(ctx, s.id, "", reason)
	case "answer":
		path, value, _ := strings.Cut(rest, " ")
		v, err := run.DecodeValue([]byte(value))
		if err != nil {
			return err
		}
		return s.engine.Answer(ctx, s.id, run.Path(path), v, "")
	}
	return fmt.Errorf("nobody can do that")
}

func (s *stage) facts() []run.Fact {
	facts, err := s.store.Load(context.Background(), s.id, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return facts
}

// verify holds the history to what every history keeps, and folds it once more; so does a folder, which must see the run as the machine does.
func (s *stage) verify() {
	facts := s.facts()
	for _, broken := range invariant.Check(s.plan, facts) {
		s.t.Errorf("invariant: %s", broken)
	}
	m := machine.New(s.id, s.plan)
	folder := runs.Fold(s.plan).Named(s.id)
	for _, f := range facts {
		raw, err := run.EncodeFact(f)
		if err != nil {
			s.t.Fatalf("fact %d cannot be written: %v", f.Seq, err)
		}
		back, err := run.DecodeFact(raw)
		if err != nil {
			s.t.Fatalf("fact %d cannot be read back: %v", f.Seq, err)
		}
		if _, err := m.Apply(back); err != nil {
			s.t.Errorf("fact %d, %s, does not fold again: %v", f.Seq, f, err)
		}
		for _, n := range folder.Add(back) {
			fmt.Fprintf(&s.notes, "%s: %s\n", f.At.Sub(facts[0].At).Round(time.Millisecond), clockTime.ReplaceAllStringFunc(n.String(), func(at string) string {
				when, _ := time.Parse(time.RFC3339, at)
				return when.Sub(facts[0].At).Round(time.Millisecond).String()
			}))
		}
		if got, want := folder.Status(), m.Status(); got != want {
			s.t.Errorf("after fact %d, %s, the folder says %s, the machine %s", f.Seq, f, got, want)
		}
	}
	for _, step := range folder.View().Steps {
		switch step.Status {
		case runs.Done, runs.Failed, runs.Cancelled:
		default:
			s.t.Errorf("%s is %q after the end", step.Path, step.Status)
		}
		if step.Agent == "" {
			s.t.Errorf("nobody knows whose step %s is", step.Path)
		}
	}
	if end := m.Finished(); end == nil || end.Status != s.finished.Status {
		s.t.Errorf("the history ends with %+v, the run ended with %+v", end, s.finished)
	}
}

// clockTime is a moment in a note; a notes part says how long after the start.
var clockTime = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`)

// place is where an agent crashed: it changes with every edit.
var place = regexp.MustCompile(`\([a-z_]+\.go:[0-9]+\)`)

// history writes a line a fact. Where the time of the run has moved since the line before, it stands behind.
func (s *stage) history() string {
	var b strings.Builder
	facts := s.facts()
	last := facts[0].At
	for _, f := range facts {
		b.WriteString(place.ReplaceAllString(f.String(), "(file:line)"))
		if !f.At.Equal(last) {
			fmt.Fprintf(&b, "  @%s", f.At.Sub(facts[0].At).Round(time.Millisecond))
			last = f.At
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// result writes how the run ended: the status, and the value or the error.
func (s *stage) result() string {
	f := s.finished
	if f.Error != nil {
		e := f.Error
		text := fmt.Sprintf("%s\n%s", f.Status, e)
		if e.File != "" {
			text += fmt.Sprintf("\n%s:%d:%d", e.File, e.Line, e.Column)
		}
		if e.Attempt > 0 {
			text += fmt.Sprintf(" %s, attempt %d", e.Agent, e.Attempt)
		}
		return text
	}
	raw, err := run.EncodeValue(f.Value)
	if err != nil {
		s.t.Error(err)
	}
	var pretty strings.Builder
	encoder := json.NewEncoder(&pretty)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(json.RawMessage(raw)); err != nil {
		s.t.Error(err)
	}
	return fmt.Sprintf("%s\n%s", f.Status, pretty.String())
}

// dice roll the same every time.
type dice struct{ n byte }

func (d *dice) Read(p []byte) (int, error) {
	for i := range p {
		d.n++
		p[i] = d.n * 37
	}
	return len(p), nil
}
