package agent_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/agent"
)

// Whatever stands around a secret, one of its forms is found in the text that carries it.
func TestForms(t *testing.T) {
	for _, secret := range []string{"correct-horse", "pass/word+x?&=y", `a"b\c<d>` + "\nü", "0123456789", "four"} {
		forms := agent.Forms(secret)
		for i := 1; i < len(forms); i++ {
			if len(forms[i]) > len(forms[i-1]) {
				t.Errorf("%q: %q stands behind the shorter %q", secret, forms[i], forms[i-1])
			}
		}
		found := func(text string) bool {
			for _, form := range forms {
				if strings.Contains(text, form) {
					return true
				}
			}
			return false
		}
		quoted, _ := json.Marshal(map[string]string{"k": secret})
		texts := []string{secret, "x" + secret + "y", url.QueryEscape("q=" + secret), "/" + url.PathEscape(secret), string(quoted), base64.StdEncoding.EncodeToString([]byte(secret))}
		if len(secret) >= 10 {
			for _, before := range []string{"", "u", "us", "user:"} {
				for _, behind := range []string{"", ".", "..", "..."} {
					texts = append(texts, base64.StdEncoding.EncodeToString([]byte(before+secret+behind)), base64.RawURLEncoding.EncodeToString([]byte(before+secret+behind)))
				}
			}
		}
		for _, text := range texts {
			if !found(text) {
				t.Errorf("%q: no form of it is found in %q", secret, text)
			}
		}
		if found("a text without it") {
			t.Errorf("%q is found where it is not", secret)
		}
	}
	if forms := agent.Forms("abc"); len(forms) != 0 {
		t.Errorf("too short a secret has the forms %q", forms)
	}
}
