package agent

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Forms lists how the value of a secret may turn up in what the world says: as it is, as it stands in a URL or inside a JSON text, and as base64, alone
// or in the middle of a longer text. The longest comes first, so that whoever replaces them in order leaves no rest. A value shorter than MinSecret has none.
func Forms(value string) []string {
	if len(value) < MinSecret {
		return nil
	}
	raw := []byte(value)
	all := []string{
		value, url.QueryEscape(value), url.PathEscape(value),
		base64.StdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
	}
	if text, err := json.Marshal(value); err == nil {
		all = append(all, string(text[1:len(text)-1]))
	}
	var plain strings.Builder // without the escapes of < > &, which few other writers make
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if e.Encode(value) == nil {
		all = append(all, strings.Trim(plain.String(), "\"\n"))
	}
	for before := range 3 {
		all = append(all, inside(base64.RawStdEncoding, raw, before), inside(base64.RawURLEncoding, raw, before))
	}
	if trimmed := strings.TrimSpace(value); trimmed != value {
		all = append(all, trimmed)
	}
	all = slices.DeleteFunc(all, func(form string) bool { return len(form) < MinSecret })
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(all)
}

// MinSecret is the shortest secret that is looked for: to black out "a" would black out everything.
const MinSecret = 4

// inside is what base64 shows of raw behind so many other bytes, less the signs that those and the bytes behind it share.
func inside(encoding *base64.Encoding, raw []byte, before int) string {
	text := encoding.EncodeToString(append(make([]byte, before), raw...))
	from := []int{0, 2, 3}[before]
	to := len(text)
	if (before+len(raw))%3 != 0 {
		to--
	}
	if to-from < 8 { // too short to be told from chance
		return ""
	}
	return text[from:to]
}
