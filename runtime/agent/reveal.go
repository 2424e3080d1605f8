package agent

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

// Reveal returns v with every types.Secret and types.Parts inside it replaced by the text that secret gives. It is for adapters only, at the last
// moment before the call, and leaves v itself untouched. An error names the secret that could not be had.
func Reveal(v any, secret func(name string) (string, error)) (any, error) {
	switch v := v.(type) {
	case types.Secret:
		return open(v, secret)
	case types.Parts:
		var b strings.Builder
		for _, part := range v {
			text, err := Reveal(part, secret)
			if err != nil {
				return nil, err
			}
			s, ok := text.(string)
			if !ok {
				return nil, fmt.Errorf("a text with secrets holds a %T", part)
			}
			b.WriteString(s)
		}
		return b.String(), nil
	case []any:
		if !holdsSecret(v) {
			return v, nil
		}
		list := make([]any, len(v))
		for i, item := range v {
			open, err := Reveal(item, secret)
			if err != nil {
				return nil, err
			}
			list[i] = open
		}
		return list, nil
	case map[string]any:
		if !holdsSecret(v) {
			return v, nil
		}
		record := make(map[string]any, len(v))
		for name, field := range v {
			open, err := Reveal(field, secret)
			if err != nil {
				return nil, err
			}
			record[name] = open
		}
		return record, nil
	default:
		return v, nil
	}
}

func open(s types.Secret, secret func(name string) (string, error)) (string, error) {
	if secret == nil {
		return "", fmt.Errorf("secret %s: this run has no source of secrets", s.Name)
	}
	value, err := secret(s.Name)
	if err != nil {
		return "", fmt.Errorf("secret %s: %w", s.Name, err)
	}
	return value, nil
}

func holdsSecret(v any) bool {
	switch v := v.(type) {
	case types.Secret, types.Parts:
		return true
	case []any:
		for _, item := range v {
			if holdsSecret(item) {
				return true
			}
		}
	case map[string]any:
		for _, field := range v {
			if holdsSecret(field) {
				return true
			}
		}
	}
	return false
}
