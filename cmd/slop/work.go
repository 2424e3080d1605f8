package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// runFolders says in which folder the commands of a run work. A run that others begin has one of its own unless said says no; any other has one when it says
// yes, and when somebody else who worked on it gave it one.
func (p *project) runFolders(said *bool) func(run.ID) string {
	own := p.serves
	if said != nil {
		own = *said
	}
	return func(id run.ID) string {
		if p.work == "" {
			return ""
		}
		dir := filepath.Join(p.work, folderName(id))
		if !own {
			if _, err := os.Lstat(dir); err != nil || said != nil {
				return ""
			}
		}
		return dir
	}
}

// folderName is what the folder of a run is called: its id, which whoever began it may have chosen.
func folderName(id run.ID) string {
	name := url.PathEscape(string(id))
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	return name
}

// work is where the runs of the store have their working folders on this machine. Those of another store are none of its business.
func (s *state) work() string {
	name := "here"
	if s.server != "" {
		sum := sha256.Sum256([]byte(s.server + "\x00" + s.remote.prefix))
		name = hex.EncodeToString(sum[:8])
	}
	return filepath.Join(s.folder, "work", name)
}

// removeWork removes the working folders of runs that are no more, whoever removed them, and counts them. One that was made lately may be that of a run whose
// beginning is not known here yet.
func (s *state) removeWork(ctx context.Context) (removed int, err error) {
	folders, err := os.ReadDir(s.work())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, f := range folders {
		id, strange := url.PathUnescape(f.Name())
		info, gone := f.Info()
		if strange != nil || gone != nil || time.Since(info.ModTime()) < sweepGrace {
			continue
		}
		if _, lost := s.store.Holder(ctx, run.ID(id)); !errors.Is(lost, store.ErrNotFound) {
			continue
		}
		if failed := removeAll(filepath.Join(s.work(), f.Name())); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		removed++
	}
	return removed, err
}

// removeAll removes a folder also when commands left folders in it that may not be written.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // before what is in it is read
		}
		return nil
	})
	return os.RemoveAll(path)
}
