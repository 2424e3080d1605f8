package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/slopstudios/slop/runtime/atomicfile"
)

// Trusted reports whether the user stands behind f: it asks for nothing that needs trust, or it is theirs and lies in the folder they stand in or in
// their configuration folder, or they said so before of exactly this text at this path.
func (p Places) Trusted(f *File, here string) bool {
	if f == nil || len(f.Asks) == 0 {
		return true
	}
	near := filepath.Dir(f.Path) == here
	if own, err := filepath.Abs(filepath.Join(p.Config, Name)); err == nil && p.Config != "" && f.Path == own {
		near = true
	}
	if near && ownedByUser(f.Path) {
		return true
	}
	return p.remembered()[f.Path] == f.SHA256
}

// Remember keeps that the user trusts f as it is now. A change of its text asks again.
func (p Places) Remember(f *File) error {
	path, err := p.StateFile("trusted.json")
	if err != nil {
		return err
	}
	known := p.remembered()
	known[f.Path] = f.SHA256
	text, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}

func (p Places) remembered() map[string]string {
	known := map[string]string{}
	if p.State == "" {
		return known
	}
	text, err := os.ReadFile(filepath.Join(p.State, "trusted.json"))
	if err == nil {
		_ = json.Unmarshal(text, &known) // a damaged list trusts nothing
	}
	if known == nil {
		known = map[string]string{}
	}
	return known
}

// Value reads a secret: where slop.toml says, else the environment variable of that name, as it is and then in upper case.
func (c *Config) Value(name string, env func(string) (string, bool)) (string, error) {
	s, configured := c.Secrets[name]
	switch {
	case configured && s.Env != "":
		if v, ok := env(s.Env); ok {
			return v, nil
		}
		return "", errors.New("is not set: slop.toml reads it from the environment variable " + s.Env)
	case configured:
		text, err := os.ReadFile(s.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", errors.New("is not there: slop.toml reads it from " + s.Path)
		}
		return strings.TrimRight(string(text), "\r\n"), err
	}
	for _, key := range []string{name, strings.ToUpper(name)} {
		if v, ok := env(key); ok {
			return v, nil
		}
	}
	return "", errors.New("is not set: export " + strings.ToUpper(name) + ", or say in slop.toml where it is:  [secrets]  " + name + ` = {file = "path"}`)
}
