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
	return s.reads.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(new(int), new(int), new(int))
}
