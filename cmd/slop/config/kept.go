package config

import (
	"os"
	"path/filepath"

	"github.com/slopstudios/slop/runtime/atomicfile"
)

// Kept gives what Keep kept under a name.
func (p Places) Kept(name string) ([]byte, bool) {
	if p.State == "" {
		return nil, false
	}
	text, err := os.ReadFile(filepath.Join(p.State, name))
	return text, err == nil
}

// Keep keeps a text in the state folder, where only the user can read it. The name may have a folder.
func (p Places) Keep(name string, text []byte) error {
	path, err := p.StateFile(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, text, 0o600)
}
