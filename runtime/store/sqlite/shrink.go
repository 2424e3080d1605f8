package sqlite

import (
	"context"
	"fmt"
)

// shrinkPages is how many pages are moved in one write: others have their turn in between.
const shrinkPages = 512

// Shrink gives the room of what was removed back to the file system, and says how many bytes that are. The file is smaller with the next checkpoint, or when the store is
// closed. In one that was begun before files were prepared for it the room is used again and stays.
func (s *Store) Shrink(ctx context.Context) (int64, error) {
	var total int64
	for {
		var before, after int64
		err := s.passing(ctx, func(t *tx) error {
			if err := t.row("PRAGMA freelist_count", nil, &before); err != nil || before == 0 {
				return err
			}
			if err := t.rows(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", shrinkPages), nil, func(func(...any) error) error { return nil }); err != nil {
				return err
			}
			t.written = checkpointSize // so that the pages leave the file soon
			return t.row("PRAGMA freelist_count", nil, &after)
		})
		if err != nil {
			return total, fmt.Errorf("shrink the store %s: %w", s.path, err)
		}
		total += (before - after) * pageSize
		if after == 0 || after >= before {
			return total, nil
		}
	}
}
