package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// counted counts the reads of documents, and fails them when it is told to.
type counted struct {
	store.Docs
	reads atomic.Int64
	away  atomic.Bool
}

func (c *counted) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	c.reads.Add(1)
	if c.away.Load() {
		return nil, 0, errors.New("away")
	}
	return c.Docs.GetDoc(ctx, kind, name)
}

func bearing(text string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	return r
}

// A token proves its tenant, name and role until it expires or is revoked; of its text only a hash is kept.
func TestToken(t *testing.T) {
	ctx, c, docs := t.Context(), newClock(), memory.New()
	tokens := auth.NewTokens(docs, c.now)
	text, made, err := tokens.Create(ctx, auth.Operator, "acme", "ci", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "slop_"+made.ID+"_") || len(text) != 5+8+1+43 {
		t.Errorf("the text of a token is like %q", text[:14])
	}
	caller, err := tokens.Caller(bearing(text))
	if err != nil || caller.Tenant != "acme" || caller.Name != "ci" || caller.Role != auth.Operator || caller.Proof != "token "+made.ID {
		t.Fatalf("the caller is %+v, %v", caller, err)
	}
	for kind := range map[string]bool{"token": true, "token-used": true} {
		for name := range docs.AllDocs(ctx, kind, "") {
			if data, _, _ := docs.GetDoc(ctx, kind, name); strings.Contains(string(data), text[14:]) {
				t.Errorf("the text is kept in %s %s", kind, name)
			}
		}
	}
	tokens.Close()
	all, err := tokens.List(ctx)
	if err != nil || len(all) != 1 || all[0].Used.IsZero() || all[0].State(c.now()) != "active" {
		t.Errorf("the list is %+v, %v", all, err)
	}
	c.pass(time.Hour)
	if _, err := tokens.Caller(bearing(text)); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("an expired token: %v", err)
	}
	if err := tokens.Holds(ctx, caller); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("a stream of an expired token: %v", err)
	}
	if used, holds, _ := tokens.Any(ctx); !used || holds {
		t.Error("an expired token is no sign that callers are to say who they are")
	}
}

// What is no token, or has a bit changed, proves nothing.
func TestNoToken(t *testing.T) {
	tokens := auth.NewTokens(memory.New(), nil)
	text, _, err := tokens.Create(t.Context(), auth.Admin, "", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	last := "A"
	if strings.HasSuffix(text, last) {
		last = "B"
	}
	for _, bad := range []string{"", "x", "slop_", text + "x", text[1:], strings.ToUpper(text), text[:len(text)-1] + last, text[:6] + "-" + text[7:], "slop_aaaaaaaa_" + text[14:]} {
		if _, err := tokens.Caller(bearing(bad)); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	r := httptest.NewRequest("GET", "/?token="+text+"&access_token="+text, nil)
	r.SetBasicAuth("x", text)
	if _, err := tokens.Caller(r); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("in the URL and as a password: %v", err)
	}
}

// A token that another process revoked lets in no request after 2 seconds, and no stream's question after half of one.
func TestRevoke(t *testing.T) {
	ctx, c, docs := t.Context(), newClock(), memory.New()
	here, elsewhere := auth.NewTokens(docs, c.now), auth.NewTokens(docs, c.now)
	text, made, err := here.Create(ctx, auth.Viewer, "", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := here.Caller(bearing(text))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := elsewhere.Revoke(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := elsewhere.Revoke(ctx, "nobody"); !errors.Is(err, auth.ErrNoToken) {
		t.Errorf("revoking what is not there: %v", err)
	}
	c.pass(time.Second)
	if err := here.Holds(ctx, caller); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("a stream goes on: %v", err)
	}
	c.pass(time.Second)
	if _, err := here.Caller(bearing(text)); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("a request is let in: %v", err)
	}
	c.pass(91 * 24 * time.Hour)
	if all, err := here.List(ctx); err != nil || len(all) != 0 {
		t.Errorf("long after, the list is %v, %v", all, err)
	}
}

// Looking up costs the store one read in two seconds a token, and what is not there is not remembered without end. A store that is away is trouble, no refusal.
func TestLookups(t *testing.T) {
	ctx, c := t.Context(), newClock()
	docs := &counted{Docs: memory.New()}
	tokens := auth.NewTokens(docs, c.now)
	text, _, err := tokens.Create(ctx, auth.Viewer, "", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Caller(bearing(text)); err != nil {
		t.Fatal(err)
	}
	tokens.Close()
	docs.reads.Store(0)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { _, _ = tokens.Caller(bearing(text)) })
	}
	group.Wait()
	if n := docs.reads.Load(); n != 0 {
		t.Errorf("%d reads for what is known", n)
	}
	for i := range 30 {
		for range 10 {
			_, _ = tokens.Caller(bearing(fmt.Sprintf("slop_nnnn%c%c%c%c_%s", 'a'+i%8, 'a'+i/8, 'a', 'a', text[14:])))
		}
	}
	if n := docs.reads.Load(); n != 30 {
		t.Errorf("%d reads for 30 ids that nobody has", n)
	}
	c.pass(2 * time.Second)
	docs.away.Store(true)
	if _, err := tokens.Caller(bearing(text)); err == nil || errors.Is(err, auth.ErrUnknown) {
		t.Errorf("the store is away: %v", err)
	}
}

// A ticket lets its caller in once, within half a minute, whoever comes first.
func TestTicket(t *testing.T) {
	ctx, c, docs := t.Context(), newClock(), memory.New()
	tickets, elsewhere := auth.NewTickets(docs, c.now), auth.NewTickets(docs, c.now)
	ann := auth.Caller{Tenant: "acme", Name: "ann", Role: auth.Viewer, Proof: "token x", Until: c.now().Add(time.Hour).UTC()}
	text, _, err := tickets.Issue(ctx, ann)
	if err != nil {
		t.Fatal(err)
	}
	var in atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			switch got, err := elsewhere.Redeem(ctx, text); {
			case err == nil && got != ann:
				t.Errorf("it is %+v who comes in", got)
			case err == nil:
				in.Add(1)
			case !errors.Is(err, auth.ErrUnknown):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if in.Load() != 1 {
		t.Errorf("%d came in with one ticket", in.Load())
	}
	text, _, _ = tickets.Issue(ctx, ann)
	_, _, _ = tickets.Issue(ctx, ann)
	c.pass(auth.TicketLife)
	for _, bad := range []string{text, "", "ticket_x", "slop_x"} {
		if _, err := tickets.Redeem(ctx, bad); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	c.pass(time.Minute)
	if _, _, err := tickets.Issue(ctx, ann); err != nil {
		t.Fatal(err)
	}
	left := 0
	for range docs.AllDocs(ctx, "ticket", "") {
		left++
	}
	if left != 1 {
		t.Errorf("%d tickets are kept", left)
	}
}

// The name of a tenant stands between slashes in the names of what is kept.
func TestTenantNames(t *testing.T) {
	for _, good := range []string{"local", "a", "Acme-2", "ann@acme.org", "_x"} {
		if err := auth.CheckTenant(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a/b", "../x", ".", "a b", "ä", "a\n", strings.Repeat("a", 65)} {
		if err := auth.CheckTenant(bad); err == nil {
			t.Errorf("%q may be a tenant", bad)
		}
	}
}
