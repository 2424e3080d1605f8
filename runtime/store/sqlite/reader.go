package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// read gives a statement of the readers, prepared once.
func (s *Store) read(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := s.known.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.reads.PrepareContext(ctx, query)
	if err != nil {
		return nil, &fault{err}
	}
	if first, twice := s.known.LoadOrStore(query, stmt); twice {
		_ = stmt.Close()
		stmt = first.(*sql.Stmt)
	}
	return stmt, nil
}

// rows calls each with every row.
func (s *Store) rows(ctx context.Context, query string, args []any, each func(scan func(...any) error) error) error {
	stmt, err := s.read(ctx, query)
	if err != nil {
		return err
	}
	return every(ctx, stmt, args, each)
}

// row scans the first row. sql.ErrNoRows is no fault.
func (s *Store) row(ctx context.Context, query string, args []any, into ...any) error {
	stmt, err := s.read(ctx, query)
	if err != nil {
		return err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(into...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return faulty(err)
	}
	return err
}

// unread is why something could not be read: the context when it ended, else what SQLite says.
func unread(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return damaged(err)
}
