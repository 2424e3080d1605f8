package process

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// ledger is where the commands under way are noted: a file each, called NAME.TOKEN.
type ledger struct{ folder, name string }

var kept atomic.Pointer[ledger]

// Note has each command that Run starts from now on noted in a folder, under the name of this process, for as long as it runs. A process that is killed leaves the notes
// of what it was running, and the root of a tree alone dies with it: EndLeftovers ends the rest. What a command that has ended left running on purpose is in no
// note.
// An empty folder ends that.
func Note(folder, name string) { kept.Store(&ledger{folder, name}) }

// note writes a token down before anything carries it, and returns what strikes it out again. A folder that takes no note keeps no command from running.
func note(token string) (strike func()) {
	l := kept.Load()
	if l == nil || l.folder == "" {
		return func() {}
	}
	file := filepath.Join(l.folder, l.name+"."+token)
	if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return func() {}
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return func() {}
	}
	return func() { _ = os.Remove(file) }
}

// leftoverGrace is what a leftover has to end by itself: whoever waits wants to call again what it was part of.
const leftoverGrace = time.Second

// EndLeftovers ends what is still running of commands that are noted in a folder and whose process, by its name, is dead. It returns when all of it has ended, and how
// many commands had left something. A number that was given to another process meanwhile hurts nobody: the mark in its environment says what belongs to a
// command.
func EndLeftovers(folder string, dead func(name string) bool) int {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0 // nothing was ever noted
	}
	count := 0
	for _, e := range entries {
		name, token, ok := strings.Cut(e.Name(), ".")
		if !ok || len(token) < 2*tokenBytes || !dead(name) || strings.Contains(os.Getenv(mark), token) { // we may be a leftover ourselves
			continue
		}
		if t := strays(token); t.alive() {
			count++
			end(t, leftoverGrace, true, nil)
		}
		_ = os.Remove(filepath.Join(folder, e.Name()))
	}
	return count
}
