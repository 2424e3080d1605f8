package config

import (
	"regexp"
	"slices"
	"strings"
)

// mask is a slop.toml as messages show it: a text that may be a key or a password by mistake is starred out, sign by sign, so that places stay. What
// messages are about, and names of variables and files, can be read.
func mask(text string) string {
	var b strings.Builder
	table := ""
	for line := range strings.Lines(text) {
		if m := tableHead.FindStringSubmatch(line); m != nil {
			table = m[1]
		}
		at := 0
		for _, m := range assignment.FindAllStringSubmatchIndex(line, -1) {
			key, value := strings.Trim(line[m[2]:m[3]], `"'`), line[m[4]:m[5]]
			if m[2] >= at && private(table, key, strings.Trim(value, `"'`)) {
				b.WriteString(line[at:m[4]])
				b.WriteString(stars(value))
				at = m[5]
			}
		}
		b.WriteString(line[at:])
	}
	return b.String()
}

var (
	tableHead  = regexp.MustCompile(`^\s*\[\s*([^\[\]]*?)\s*\]`)
	assignment = regexp.MustCompile(`([\w.-]+|"[^"\n]*"|'[^'\n]*')\s*=\s*("(?:[^"\\\n]|\\[^\n])*"?|'[^'\n]*'?)`)
	variable   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	tokenLike  = regexp.MustCompile(`^(sk-|sk_|gh[a-z]_|github_pat_|xox|AKIA|AIza|Bearer |Basic )`)
)

// open are the keys whose texts are meant to be read.
var open = append([]string{"file", "max_parallel", "budget", "color", "cache", "url", "url_env", "prefix", "durability", "lease", "keep", "start_timeout"}, agentKeys...)

func private(table, key, value string) bool {
	switch {
	case tokenLike.MatchString(value):
		return true
	case strings.HasSuffix(key, "url") && (strings.Contains(value, "@") || strings.Contains(value, "password")):
		return true
	case key == "env" || key == "api_key_env" || key == "url_env" || key == "token_env":
		return !variable.MatchString(value)
	case table == "secrets" && key != "file":
		return true
	case table == "publish" || table == "server" || strings.HasPrefix(table, "server."):
		return false
	}
	return !slices.Contains(open, key)
}

// stars keeps the quotes around a text and its length in bytes.
func stars(value string) string {
	text := []byte(value)
	for i := range text {
		if quote := text[i] == '"' || text[i] == '\''; !quote || i > 0 && i < len(text)-1 {
			text[i] = '*'
		}
	}
	return string(text)
}
