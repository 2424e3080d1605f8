package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/server/auth/oidc"
)

// issuer is one that tests make tokens of.
type issuer struct {
	t   *testing.T
	url string

	mu   sync.Mutex
	keys []jose.JSONWebKey
	away bool
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		var v any
		switch {
		case i.away:
			w.WriteHeader(http.StatusBadGateway)
			return
		case r.URL.Path == "/.well-known/openid-configuration":
			v = map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256"}}
		case r.URL.Path == "/keys":
			var set jose.JSONWebKeySet
			for _, k := range i.keys {
				set.Keys = append(set.Keys, k.Public())
			}
			v = set
		default:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}))
	t.Cleanup(web.Close)
	i.url = web.URL
	i.rotate("one")
	return i
}

// rotate makes a new key, and takes the old ones out of the list.
func (i *issuer) rotate(id string) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = []jose.JSONWebKey{{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"}}
}

// token signs claims, which begin as those of a good token.
func (i *issuer) token(change map[string]any) string {
	i.t.Helper()
	return i.sign(jose.SigningKey{Algorithm: jose.ES256, Key: i.keys[0]}, change)
}

func (i *issuer) sign(key jose.SigningKey, change map[string]any) string {
	i.t.Helper()
	claims := map[string]any{
		"iss": i.url, "aud": "slop", "sub": "u-1", "email": "ann@acme.org", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"org": "acme", "realm_access": map[string]any{"roles": []string{"other", "flows-write"}},
	}
	for name, v := range change {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		i.t.Fatal(err)
	}
	body, _ := json.Marshal(claims)
	signed, err := signer.Sign(body)
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func bearing(text string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	return r
}

func (i *issuer) config() oidc.Config {
	return oidc.Config{
		Issuer: i.url, Audience: "slop", RoleClaim: "realm_access.roles", TenantClaim: "org", NameClaim: "email",
		Roles: map[auth.Role][]string{auth.Viewer: {"flows-read"}, auth.Operator: {"flows-write"}, auth.Admin: {"root"}},
	}
}

// Claims become a caller as the configuration says.
func TestClaims(t *testing.T) {
	i := newIssuer(t)
	g := oidc.New(i.config())
	c, err := g.Caller(bearing(i.token(nil)))
	if err != nil || c.Tenant != "acme" || c.Name != "ann@acme.org" || c.Role != auth.Operator || c.Proof != "oidc u-1" {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := g.Holds(t.Context(), c); err != nil {
		t.Errorf("it holds no more: %v", err)
	}
	c.Until = time.Now().Add(-time.Second)
	if err := g.Holds(t.Context(), c); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("it holds when it has expired: %v", err)
	}
	for roles, want := range map[string]auth.Role{"root": auth.Admin, "flows-read": auth.Viewer, "admin": auth.Anyone, "": auth.Anyone} {
		if c, err := g.Caller(bearing(i.token(map[string]any{"realm_access": map[string]any{"roles": []string{roles}}}))); err != nil || c.Role != want {
			t.Errorf("%q makes %v, not %v (%v)", roles, c.Role, want, err)
		}
	}
	plain := oidc.New(oidc.Config{Issuer: i.url, Audience: "slop"})
	c, err = plain.Caller(bearing(i.token(map[string]any{"roles": "viewer admin", "aud": []string{"x", "slop"}})))
	if err != nil || c.Tenant != auth.Local || c.Name != "u-1" || c.Role != auth.Admin {
		t.Errorf("without a configuration: %+v, %v", c, err)
	}
}

// What the issuer did not sign, or not for us, or not for now, proves nothing.
func TestRefused(t *testing.T) {
	i := newIssuer(t)
	g := oidc.New(i.config())
	good := i.token(nil)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: stranger, KeyID: "one"}}
	shared := jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "one"}}
	for what, text := range map[string]string{
		"alg none":              none,
		"no signature":          parts[0] + "." + parts[1] + ".",
		"another's key":         i.sign(forged, nil),
		"a shared secret":       i.sign(shared, nil),
		"another audience":      i.token(map[string]any{"aud": "other"}),
		"no audience":           i.token(map[string]any{"aud": nil}),
		"another issuer":        i.token(map[string]any{"iss": "https://evil.example"}),
		"expired":               i.token(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"without an end":        i.token(map[string]any{"exp": nil}),
		"not yet":               i.token(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"no tenant":             i.token(map[string]any{"org": nil}),
		"a tenant with a slash": i.token(map[string]any{"org": "acme/../x"}),
		"another's claims":      parts[0] + "." + strings.Split(i.token(map[string]any{"org": "evil"}), ".")[1] + "." + parts[2],
		"half":                  good[:len(good)/2],
		"text":                  "a.b.c",
		"a token of ours":       "slop_aaaaaaaa_" + strings.Repeat("a", 43),
	} {
		if c, err := g.Caller(bearing(text)); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
	if _, err := g.Caller(bearing(good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// An issuer changes its keys, and those of before prove nothing any more once the new ones are known.
func TestRotation(t *testing.T) {
	i := newIssuer(t)
	g := oidc.New(i.config())
	old := i.token(nil)
	if _, err := g.Caller(bearing(old)); err != nil {
		t.Fatal(err)
	}
	i.rotate("two")
	if _, err := g.Caller(bearing(i.token(nil))); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := g.Caller(bearing(old)); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("the old key: %v", err)
	}
}

// An issuer that is away is trouble and no refusal, and is asked again.
func TestAway(t *testing.T) {
	i := newIssuer(t)
	g := oidc.New(i.config())
	other := oidc.New(i.config()) // which asks for the first time when it is back
	i.away = true
	if _, err := g.Caller(bearing(i.token(nil))); err == nil || errors.Is(err, auth.ErrUnknown) {
		t.Errorf("it is away: %v", err)
	}
	if _, err := g.Caller(bearing("x")); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("who proves nothing: %v", err)
	}
	i.mu.Lock()
	i.away = false
	i.mu.Unlock()
	if _, err := other.Caller(bearing(i.token(nil))); err != nil {
		t.Errorf("it is back: %v", err)
	}
}
