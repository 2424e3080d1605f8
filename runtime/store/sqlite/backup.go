package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a copy of the store as of one moment to a file that is not there yet, while others read and write. The copy is a store; it appears under its
// name only when it is whole and on the disk.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	if err := s.ready(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up the store to %s: %w", path, damaged(err))
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	part := file.Name()
	defer func() { _ = os.Remove(part) }()
	if err := file.Close(); err != nil {
		return err
	}
	db, err := connect(s.path)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", part)
	if closed := db.Close(); err == nil {
		err = closed
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	if err := flush(part); err != nil {
		return err
	}
	if err := os.Link(part, path); err != nil { // unlike a rename it never takes another's place
		return err
	}
	return flush(filepath.Dir(path))
}

func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	err = file.Sync()
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
