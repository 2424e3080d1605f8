package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	codes "modernc.org/sqlite/lib"

	"github.com/slopstudios/slop/runtime/run"
)

const (
	maxGroup       = 1024     // operations of one transaction: the first of them waits for the last
	maxGroupBytes  = 16 << 20 // and what they write
	checkpointSize = 8 << 20  // of the write-ahead log, about: then its pages move to their places
)

// op is something to write.
type op struct {
	ctx   context.Context
	do    func(*tx) error // may run twice, in two transactions of which the first left nothing
	lasts bool            // on the disk before it is answered
	size  int
	err   error
	then  []func() // once it is stored
	done  chan error
}

// put queues an operation and waits for its answer. When the context ends meanwhile it is unknown whether it was stored.
func (s *Store) put(ctx context.Context, lasts bool, size int, do func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &op{ctx: ctx, do: do, lasts: lasts, size: size, done: make(chan error, 1)}
	s.mu.Lock()
	if err := s.failed; err != nil {
		s.mu.Unlock()
		return err
	}
	s.queue = append(s.queue, o)
	s.mu.Unlock()
	poke(s.wake)
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lasting is put for what must be on the disk, passing for what may be lost with the machine.
func (s *Store) lasting(ctx context.Context, size int, do func(*tx) error) error {
	return s.put(ctx, true, size, do)
}

func (s *Store) passing(ctx context.Context, do func(*tx) error) error {
	return s.put(ctx, false, 0, do)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write is the writer.
func (s *Store) write() {
	defer close(s.ended)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-s.wake:
		case <-poll.C:
			s.look()
		case <-s.closing:
			s.fail(ErrClosed)
			for group := s.take(); len(group) > 0; group = s.take() {
				s.commit(group)
			}
			if errors.Is(s.ready(context.Background()), ErrClosed) {
				s.checkpoint()
			}
			return
		}
		for group := s.take(); len(group) > 0; group = s.take() {
			s.commit(group)
		}
		if s.writer.written > checkpointSize {
			s.checkpoint()
		}
	}
}

// take gives the next group.
func (s *Store) take() []*op {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, 0
	for n < len(s.queue) && n < maxGroup && (n == 0 || bytes+s.queue[n].size <= maxGroupBytes) {
		bytes += s.queue[n].size
		n++
	}
	group := s.queue[:n:n]
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return group
}

// fail is the end: everything after is answered with err. The first reason counts.
func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// commit stores a group and answers it. When one of its operations cannot be done, each is tried on its own, so that the trouble of one is not everybody's.
func (s *Store) commit(group []*op) {
	s.mu.Lock()
	err := s.failed
	s.mu.Unlock()
	if err == nil || errors.Is(err, ErrClosed) {
		var alone bool
		if alone, err = s.transact(group); alone && len(group) > 1 && !fatal(err) {
			for _, o := range group {
				s.commit([]*op{o})
			}
			return
		}
		if fatal(err) {
			err = s.stop(err)
		}
	}
	for _, o := range group {
		if err != nil {
			o.done <- err
			continue
		}
		if o.err == nil {
			for _, then := range o.then {
				then()
			}
		}
		o.done <- o.err
	}
}

func (s *Store) stop(err error) error {
	err = fmt.Errorf("the store %s has stopped: %w", s.path, err)
	s.fail(err)
	return err
}

// fatal tells errors after which nobody knows what the disk has: a failed fsync is not made good by one that follows. A full disk is none, since what did not
// fit is taken back, nor is another process that holds the file for long, nor a damaged page, which ends only what needs it.
func fatal(err error) bool {
	switch {
	case err == nil, spoiled(err):
		return false
	case code(err) == codes.SQLITE_FULL, code(err) == codes.SQLITE_BUSY, code(err) == codes.SQLITE_CORRUPT, code(err) == codes.SQLITE_TOOBIG, code(err) == codes.SQLITE_NOMEM:
		return false
	}
	return extended(err) != codes.SQLITE_IOERR_SHMSIZE // the disk is full too
}

// transact runs a group in one transaction. A refusal stays with its operation; a fault of SQLite undoes the group, and alone says that it was met by one
// operation.
func (s *Store) transact(group []*op) (alone bool, err error) {
	w := s.writer
	lasts := false
	for _, o := range group {
		lasts = lasts || o.lasts
	}
	if err := w.sync(lasts); err != nil {
		return false, damaged(err)
	}
	if err := w.begin(); err != nil {
		return false, damaged(err)
	}
	for _, o := range group {
		o.then = nil
		if o.err = o.ctx.Err(); o.err != nil {
			continue
		}
		w.op = o
		o.err = o.do(w)
		w.op = nil
		var f *fault
		if errors.As(o.err, &f) {
			w.rollback()
			return true, damaged(o.err)
		}
		w.written += 2*pageSize + o.size
	}
	if err := w.exec("COMMIT"); err != nil {
		w.rollback()
		return false, damaged(err)
	}
	return false, nil
}

const pageSize = 4096

// checkpoint moves pages from the write-ahead log to their places. Readers in it hold it up but are not held up.
func (s *Store) checkpoint() {
	s.writer.written = 0
	var busy, size, moved int
	err := s.writer.row("PRAGMA wal_checkpoint(PASSIVE)", nil, &busy, &size, &moved)
	if fatal(err) {
		_ = s.stop(err)
	}
}

// tx is the writer's connection with the statements it knows.
type tx struct {
	conn    *sql.Conn
	known   map[string]*sql.Stmt
	op      *op
	lasts   bool // commits reach the disk
	started bool
	written int // bytes since the last checkpoint, about

	// The rows of runs as they are in this transaction. They hold until another process writes, which data_version tells.
	states  map[run.ID]*state
	version int64
}

const maxStates = 10_000

// begin starts a transaction. What is known of runs is forgotten when another process wrote since.
func (t *tx) begin() error {
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	var version int64
	if err := t.row("PRAGMA data_version", nil, &version); err != nil {
		t.rollback()
		return err
	}
	if version != t.version || len(t.states) > maxStates {
		clear(t.states)
		t.version = version
	}
	return nil
}

func (t *tx) rollback() {
	clear(t.states)
	_ = t.exec("ROLLBACK") // SQLite may have done it
}

// then has something done once the operation is stored.
func (t *tx) then(f func()) { t.op.then = append(t.op.then, f) }

// sync says whether commits wait for the disk.
func (t *tx) sync(lasts bool) error {
	if t.started && t.lasts == lasts {
		return nil
	}
	level := "PRAGMA synchronous = NORMAL"
	if lasts {
		level = "PRAGMA synchronous = FULL"
	}
	err := t.exec(level)
	t.started, t.lasts = err == nil, lasts
	return err
}

func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if stmt := t.known[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, &fault{err}
	}
	t.known[query] = stmt
	return stmt, nil
}

func (t *tx) exec(query string, args ...any) error {
	stmt, err := t.prepare(query)
	if err != nil {
		return err
	}
	if _, err := stmt.ExecContext(context.Background(), args...); err != nil {
		return &fault{err}
	}
	return nil
}

// insert is exec that gives the number of the new row.
func (t *tx) insert(query string, args ...any) (int64, error) {
	stmt, err := t.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, &fault{err}
	}
	n, err := res.LastInsertId()
	if err != nil {
		return 0, &fault{err}
	}
	return n, nil
}

// row scans the first row. sql.ErrNoRows is no fault.
func (t *tx) row(query string, args []any, into ...any) error {
	stmt, err := t.prepare(query)
	if err != nil {
		return err
	}
	err = stmt.QueryRowContext(context.Background(), args...).Scan(into...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return faulty(err)
	}
	return err
}

// rows calls each with every row.
func (t *tx) rows(query string, args []any, each func(scan func(...any) error) error) error {
	stmt, err := t.prepare(query)
	if err != nil {
		return err
	}
	return every(context.Background(), stmt, args, each)
}

func every(ctx context.Context, stmt *sql.Stmt, args []any, each func(scan func(...any) error) error) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return &fault{err}
	}
	defer func() { _ = rows.Close() }()
	scan := func(into ...any) error {
		if err := rows.Scan(into...); err != nil {
			return faulty(err)
		}
		return nil
	}
	for rows.Next() {
		if err := each(scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return &fault{err}
	}
	return nil
}

func (t *tx) close() error {
	for _, stmt := range t.known {
		_ = stmt.Close()
	}
	return t.conn.Close()
}
