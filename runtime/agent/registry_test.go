package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// world stands in for an agent of the world.
type world struct {
	signatures []types.Signature
	call       func(context.Context, *agent.Call) agent.Reply
	check      func(context.Context) error
}

func (w world) Signatures() []types.Signature { return w.signatures }
func (w world) Call(ctx context.Context, c *agent.Call) agent.Reply {
	return w.call(ctx, c)
}
func (w world) Check(ctx context.Context) error { return w.check(ctx) }

func web() world {
	return world{signatures: []types.Signature{
		{Name: "http.get", Primary: "url", Params: []types.Param{{Name: "url"}}, Effect: types.Read, Kind: types.Call},
		{Name: "http.post", Primary: "url", Params: []types.Param{{Name: "url"}}},
	}}
}

func TestRegisterRenames(t *testing.T) {
	r := agent.NewRegistry()
	if err := r.Register("http", web(), nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Register("shop", web(), func(s *types.Signature) { s.Doc = "the shop" }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"http.get", "http.post", "shop.get", "shop.post"}, r.Names()); diff != "" {
		t.Error(diff)
	}
	_, s, ok := r.Lookup("shop.post")
	if !ok || s.Use != "http.post" || s.Doc != "the shop" {
		t.Errorf("shop.post is %+v", s)
	}
	if s.Effect != types.Do || s.Kind != types.Call {
		t.Errorf("an unknown effect must count as do, an unknown kind as call; got %s, %s", s.Effect, s.Kind)
	}
	if _, ok := r.Scope().Capabilities["shop.get"]; !ok {
		t.Error("the scope lacks shop.get")
	}
}

func TestRegisterRefuses(t *testing.T) {
	r := agent.NewRegistry()
	if err := r.Register("http", web(), nil); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]world{
		"http":  web(),
		"empty": {},
		"lost":  {signatures: []types.Signature{{Name: "lost", Primary: "x"}}},
		"twice": {signatures: []types.Signature{{Name: "twice", Params: []types.Param{{Name: "a"}, {Name: "a"}}}}},
		"gift":  {signatures: []types.Signature{{Name: "gift", Effect: types.Think, Free: true}}},
	} {
		if err := r.Register(name, a, nil); err == nil {
			t.Errorf("%s was registered", name)
		}
	}
}

// What an agent serves now is what scripts may call; a plan from before still finds whom it calls.
func TestRelist(t *testing.T) {
	r := agent.NewRegistry()
	a := &struct{ world }{web()}
	if err := errors.Join(r.Register("shop", a, nil), r.Register("other", web(), nil)); err != nil {
		t.Fatal(err)
	}
	if err := r.Relist("nobody"); err == nil {
		t.Error("an agent was listed anew that is not registered")
	}
	a.signatures = []types.Signature{{Name: "http.get", Doc: "new"}, {Name: "http.put"}}
	if err := r.Relist("shop"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"other.get", "other.post", "shop.get", "shop.put"}, r.Names()); diff != "" {
		t.Error(diff)
	}
	scope := r.Scope().Capabilities
	if _, ok := scope["shop.post"]; ok || scope["shop.get"].Doc != "new" || len(scope) != 4 {
		t.Errorf("the scope is %+v", scope)
	}
	if _, s, ok := r.Lookup("shop.post"); !ok || s.Use != "http.post" {
		t.Error("what is served no more is not found")
	}
	a.signatures = []types.Signature{{Name: "x.a"}, {Name: "x.a"}}
	if err := r.Relist("shop"); err == nil || len(r.Names()) != 4 {
		t.Errorf("a name twice: %v, %v", err, r.Names())
	}
}

func TestAPanicIsAFailedCall(t *testing.T) {
	r := agent.NewRegistry()
	bad := world{signatures: []types.Signature{{Name: "bad"}}, call: func(context.Context, *agent.Call) agent.Reply { panic("boom") }}
	if err := r.Register("bad", bad, nil); err != nil {
		t.Fatal(err)
	}
	a, _, _ := r.Lookup("bad")
	reply := a.Call(t.Context(), &agent.Call{})
	if reply.Outcome != run.Unavailable || !strings.Contains(reply.Message, "boom") || !strings.Contains(reply.Message, "registry_test.go:") {
		t.Errorf("got %+v", reply)
	}
}

func TestCheck(t *testing.T) {
	r := agent.NewRegistry()
	sick := errors.New("no key")
	for name, check := range map[string]func(context.Context) error{
		"well":  func(context.Context) error { return nil },
		"sick":  func(context.Context) error { return sick },
		"crash": func(context.Context) error { panic("boom") },
	} {
		if err := r.Register(name, world{signatures: []types.Signature{{Name: name}}, check: check}, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.Check(t.Context())
	if h, ok := r.Health("well"); !ok || h.Err != nil || h.Checked.IsZero() {
		t.Errorf("well: %+v", h)
	}
	if h, _ := r.Health("sick"); h.Err != sick {
		t.Errorf("sick: %+v", h)
	}
	if h, _ := r.Health("crash"); h.Err == nil {
		t.Errorf("crash: %+v", h)
	}
}

func TestLimitsBelongToTheAgent(t *testing.T) {
	r := agent.NewRegistry()
	if err := r.Register("http", web(), nil); err != nil {
		t.Fatal(err)
	}
	want := agent.Limits{Limit: 2, PerSecond: 5}
	if err := r.SetLimits("http", want); err != nil {
		t.Fatal(err)
	}
	name, got, ok := r.Owner("http.post")
	if !ok || name != "http" || got != want {
		t.Errorf("got %s %+v", name, got)
	}
	if r.SetLimits("nobody", want) == nil {
		t.Error("an agent that is not registered was limited")
	}
}

func TestReveal(t *testing.T) {
	secret := func(name string) (string, error) {
		if name == "token" {
			return "s3cret", nil
		}
		return "", errors.New("not set")
	}
	in := map[string]any{"plain": 1, "auth": types.Parts{"Bearer ", types.Secret{Name: "token"}}, "list": []any{types.Secret{Name: "token"}}}
	got, err := agent.Reveal(in, secret)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"plain": 1, "auth": "Bearer s3cret", "list": []any{"s3cret"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, still := in["list"].([]any)[0].(types.Secret); !still {
		t.Error("Reveal changed what it was given")
	}
	if _, err := agent.Reveal(types.Secret{Name: "other"}, secret); err == nil || !strings.Contains(err.Error(), "secret other") {
		t.Errorf("got %v", err)
	}
}
