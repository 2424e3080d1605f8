// Package presence tells whether a process of this machine is alive, so that the leases of a dead one are void at once.
//
// Each process holds a lock on a file of its own; the kernel frees it when the process ends, however it ends. A file that can be locked by somebody else belongs to
// nobody any more. Names say which folder they are from: of processes that announce themselves elsewhere, such as on another machine, nothing is known, and their leases
// lapse by time.
package presence

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Folder is where the processes of one machine and user keep their lock files.
type Folder struct {
	path string
	id   string // the names of this folder begin with it
}

// Open makes the folder at path (0700) when it is not there.
func Open(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	id, err := identity(filepath.Join(path, "id"))
	if err != nil {
		return nil, fmt.Errorf("name the folder of processes: %w", err)
	}
	return &Folder{path, id}, nil
}

// identity reads the name of a folder, or gives it one.
func identity(file string) (string, error) {
	for range 10 {
		data, err := os.ReadFile(file)
		if id := strings.TrimSpace(string(data)); len(id) == 16 {
			return id, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		temp := file + "." + dice()
		if err := os.WriteFile(temp, []byte(dice()+"\n"), 0o600); err != nil {
			return "", err
		}
		err = os.Link(temp, file) // whoever comes first names it
		if err != nil && len(data) > 0 {
			err = os.Rename(temp, file) // it was damaged
		}
		_ = os.Remove(temp)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s cannot be read", file)
}

func dice() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Holder is the presence of this process. Its name is its owner in leases.
type Holder struct {
	Name string
	file *os.File
	once sync.Once
}

// Announce takes a new name for this process and holds its lock until Leave or the end of the process.
func (f *Folder) Announce() (*Holder, error) {
	var err error
	for range 10 { // somebody who asks whether we are dead may hold the lock for a moment: then under another name
		name := f.id + "-" + dice()
		path := filepath.Join(f.path, name)
		var file *os.File
		if file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
			break
		}
		if err = lock(file); err == nil {
			_, _ = fmt.Fprintln(file, os.Getpid()) // for people who look
			return &Holder{Name: name, file: file}, nil
		}
		_ = file.Close()
		_ = os.Remove(path)
	}
	return nil, fmt.Errorf("announce this process: %w", err)
}

// Leave gives the name up.
func (h *Holder) Leave() {
	h.once.Do(func() {
		_ = os.Remove(h.file.Name())
		_ = h.file.Close()
	})
}

// Dead reports that the process of a name is known to have ended. false may mean that nothing is known of it.
func (f *Folder) Dead(name string) bool {
	if name == "" || name != filepath.Base(name) || !strings.HasPrefix(name, f.id+"-") {
		return false
	}
	file, err := os.OpenFile(filepath.Join(f.path, name), os.O_RDWR, 0)
	if err != nil {
		return os.IsNotExist(err)
	}
	defer func() { _ = file.Close() }()
	return lock(file) == nil
}

// Tidy removes the files of dead processes.
func (f *Folder) Tidy() {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) > time.Minute && f.Dead(e.Name()) {
			_ = os.Remove(filepath.Join(f.path, e.Name()))
		}
	}
}

// PID is the number of the process of a name, for people; 0 when nothing is known of it.
func (f *Folder) PID(name string) int {
	if name == "" || name != filepath.Base(name) || !strings.HasPrefix(name, f.id+"-") {
		return 0
	}
	data, err := os.ReadFile(filepath.Join(f.path, name))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data))) // 0 when it is none
	return pid
}
