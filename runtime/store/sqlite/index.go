package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// PutEntries implements store.Index. An entry is JSON, with what lists choose and sort by in columns.
func (s *Store) PutEntries(ctx context.Context, entries ...store.Entry) error {
	texts := make([][]byte, len(entries))
	size := 0
	for i, e := range entries {
		var err error
		if texts[i], err = json.Marshal(e); err != nil {
			return fmt.Errorf("the entry of run %s: %w", e.Run, err)
		}
		size += len(texts[i])
	}
	return s.put(ctx, false, size, func(t *tx) error {
		for i, e := range entries {
			if err := t.enter(e, texts[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) enter(e store.Entry, data []byte) error {
	r, err := t.find(e.Run)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	spoilt := false
	if !r.entered {
		old, err := readEntry(func(into ...any) error {
			return t.row("SELECT id, crc, data FROM entries WHERE run = ?", []any{r.n}, into...)
		})
		if spoilt = spoiled(err); err != nil && !errors.Is(err, sql.ErrNoRows) && !spoilt {
			return err
		}
		r.entered, r.entry = true, old.Seq
	}
	if r.entry > e.Seq {
		return nil
	}
	// To replace a row SQLite first makes a copy of each page it may change, so that is left for a row that is damaged.
	query := `INSERT INTO entries (run, id, started, status, flow, pool, tenant, waiting, crc, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`
	switch {
	case spoilt:
		query = strings.Replace(query, "INSERT", "INSERT OR REPLACE", 1)
	case r.entry > 0:
		query = `UPDATE entries SET id = ?2, started = ?3, status = ?4, flow = ?5, pool = ?6, tenant = ?7, waiting = ?8, crc = ?9, data = ?10 WHERE run = ?1`
	}
	r.entry = e.Seq
	return t.exec(query, r.n, string(e.Run), e.Started.UnixNano(), string(e.Status), e.Flow, e.Pool, e.Tenant, len(e.Waiting) > 0, sum(string(e.Run), data), data)
}

func readEntry(scan func(...any) error) (store.Entry, error) {
	var id run.ID
	var crc int64
	var data []byte
	if err := scan(&id, &crc, &data); err != nil {
		return store.Entry{}, err
	}
	var e store.Entry
	if crc != sum(string(id), data) || json.Unmarshal(data, &e) != nil || e.Run != id {
		return store.Entry{}, corrupt(id, "its entry in the index does not fit its checksum")
	}
	return e, nil
}

// GetEntry implements store.Index.
func (s *Store) GetEntry(ctx context.Context, id run.ID) (store.Entry, error) {
	if err := s.ready(ctx); err != nil {
		return store.Entry{}, err
	}
	e, err := readEntry(func(into ...any) error {
		return s.row(ctx, "SELECT e.id, e.crc, e.data FROM runs r JOIN entries e ON e.run = r.n WHERE r.id = ?", []any{string(id)}, into...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return e, fmt.Errorf("the entry of run %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return e, s.unreadable(ctx, id, err)
	}
	if e.Run != id {
		return store.Entry{}, corrupt(id, "its entry is of run %s", e.Run)
	}
	return e, nil
}

// List implements store.Index. A damaged entry is left out: it is derived, and the check reports it.
func (s *Store) List(ctx context.Context, f store.Filter) ([]store.Entry, string, error) {
	if err := s.ready(ctx); err != nil {
		return nil, "", err
	}
	started, id, behind, err := f.After()
	if err != nil {
		return nil, "", err
	}
	where, args := []string{"1"}, []any{}
	must := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if behind {
		must("(started, id) < (?, ?)", started.UnixNano(), string(id))
	}
	if !f.Since.IsZero() {
		must("started >= ?", f.Since.UnixNano())
	}
	for _, c := range [][2]string{{"flow", f.Flow}, {"pool", f.Pool}, {"tenant", f.Tenant}} {
		if c[1] != "" {
			must(c[0]+" = ?", c[1])
		}
	}
	if f.Waiting {
		must("waiting = 1")
	}
	if len(f.Status) > 0 {
		statuses, err := json.Marshal(f.Status) // one statement however many there are
		if err != nil {
			return nil, "", err
		}
		must("status IN (SELECT value FROM json_each(?))", string(statuses))
	}
	var chosen []store.Entry
	next := ""
	err = s.rows(ctx, "SELECT id, crc, data FROM entries WHERE "+strings.Join(where, " AND ")+" ORDER BY started DESC, id DESC", args, func(scan func(...any) error) error {
		e, err := readEntry(scan)
		switch {
		case errors.Is(err, store.ErrCorrupt), err == nil && !f.Match(e):
			return nil
		case err != nil:
			return err
		case len(chosen) == f.Size():
			next = chosen[len(chosen)-1].Cursor()
			return errEnough
		}
		chosen = append(chosen, e)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", fmt.Errorf("list runs: %w", unread(ctx, err))
	}
	return chosen, next, nil
}

var errEnough = errors.New("enough")
