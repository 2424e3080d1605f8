package sqlite

import (
	"context"
	"fmt"
)

// LimitPages makes the file full at so many pages, and says how many it has.
func (s *Store) LimitPages(most int) (pages int, err error) {
	err = s.passing(context.Background(), func(t *tx) error {
		if err := t.row(fmt.Sprintf("PRAGMA max_page_count = %d", most), nil, new(int)); err != nil {
			return err
		}
		return t.row("PRAGMA page_count", nil, &pages)
	})
	return pages, err
}

// Checkpoint moves the write-ahead log into the file.
func (s *Store) Checkpoint() error {
	var busy, size, moved int
	if err := s.reads.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &size, &moved); err != nil {
		return err
	}
	if busy != 0 || size != 0 {
		return fmt.Errorf("somebody holds the log: busy %d, %d pages", busy, size)
	}
	return nil
}
