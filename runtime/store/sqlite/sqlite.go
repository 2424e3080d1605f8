// Package sqlite keeps everything in one file, for as many processes of one machine as open it.
//
// One goroutine writes. It takes what is queued, makes one transaction of it, commits once and answers all; while it commits, the next group gathers, so
// groups grow by themselves and no timer is needed. Every append is checked against head and lease inside that transaction.
//
//	callers ──► queue ──► writer: BEGIN IMMEDIATE, check and write each, COMMIT ──► answers, then whoever waits in this process wakes
//	                        └─ every 250 ms: did another process write? then wake them too
//
// Facts are appended to one table in the order of their writing, a row for each append, with a checksum: what was damaged is reported under the name of its
// run and never given out. A group that carries facts, bytes or documents is on the disk before it is answered. A group of hints, slots and leases alone is
// only handed to the kernel: it survives the death of the process, and the next group of facts takes it to the disk.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// Config says where the store is.
type Config struct {
	Path string // of the file; its folder is made when it is not there

	// Dead tells that the owner of a lease is known to be dead, which voids its leases. nil: nobody is known to be.
	Dead func(owner string) bool
}

// ErrClosed is what a store answers after Close.
var ErrClosed = errors.New("the store is closed")

const (
	application = 0x534c4f50 // "SLOP" in the header of the file
	format      = 1          // of the schema; a file with a higher one was written by a newer release

	busyTimeout = 10 * time.Second       // for the transactions of other processes, each of which is short
	pollEvery   = 250 * time.Millisecond // how soon another process's writes are noticed
	readers     = 4
)

// Each table has a checksum a row. Numbers stand for ids wherever a row is written often.
const schema = `
CREATE TABLE runs (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, head INTEGER NOT NULL, token INTEGER NOT NULL, owner TEXT NOT NULL,
	until INTEGER NOT NULL, finished INTEGER NOT NULL, rests INTEGER NOT NULL, pool TEXT NOT NULL, priority INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX runs_open ON runs (n) WHERE finished = 0;
CREATE TABLE facts (n INTEGER PRIMARY KEY, run INTEGER NOT NULL, last INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX facts_run ON facts (run, last);
CREATE TABLE tells (n INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, seq INTEGER NOT NULL, dedup TEXT, crc INTEGER NOT NULL);
CREATE UNIQUE INDEX tells_dedup ON tells (run, dedup);
CREATE TABLE hints (id TEXT PRIMARY KEY, pool TEXT NOT NULL, priority INTEGER NOT NULL, due INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX hints_due ON hints (pool, due);
CREATE INDEX hints_order ON hints (pool, priority, due, id);
CREATE TABLE slots (name TEXT NOT NULL, holder TEXT NOT NULL, until INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (name, holder)) WITHOUT ROWID;
CREATE TABLE rates (name TEXT PRIMARY KEY, arrival INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (run INTEGER PRIMARY KEY, id TEXT NOT NULL, started INTEGER NOT NULL, status TEXT NOT NULL, flow TEXT NOT NULL, pool TEXT NOT NULL,
	tenant TEXT NOT NULL, waiting INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX entries_started ON entries (started, id);
CREATE TABLE blobs (n INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, put INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE bytes (n INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE docs (kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
`

// Store is a store.Store. Use Open.
type Store struct {
	path string
	dead func(string) bool

	db     *sql.DB // one connection, the writer's
	writer *tx
	reads  *sql.DB
	known  sync.Map // query → *sql.Stmt of reads

	wake    chan struct{} // the queue has something
	closing chan struct{}
	ended   chan struct{} // the writer has
	closed  sync.Once

	mu     sync.Mutex
	queue  []*op
	failed error // what everything is answered with from now on

	watch watch
}

// Open opens the store in a file, or begins one. The folder becomes 0700 when it is made, the files 0600.
func Open(ctx context.Context, c Config) (*Store, error) {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, dead: c.Dead, wake: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{})}
	if s.dead == nil {
		s.dead = func(string) bool { return false }
	}
	if err := s.open(ctx); err != nil {
		s.closeFiles()
		return nil, fmt.Errorf("open the store %s: %w", path, damaged(err))
	}
	go s.write()
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := private(s.path); err != nil {
		return err
	}
	var err error
	if s.db, err = connect(s.path); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(1)
	if s.reads, err = connect(s.path, "query_only(1)"); err != nil {
		return err
	}
	s.reads.SetMaxOpenConns(readers)
	s.reads.SetMaxIdleConns(readers)
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	s.writer = &tx{conn: conn, known: map[string]*sql.Stmt{}, states: map[run.ID]*state{}}
	if err := s.prepare(); err != nil {
		return err
	}
	// from here on what another process does is noticed
	if err := s.writer.row("PRAGMA data_version", nil, &s.watch.version); err != nil {
		return err
	}
	return s.writer.row("SELECT coalesce(max(n), 0) FROM tells", nil, &s.watch.tell)
}

// private makes the file, so that it is nobody else's from its first moment; SQLite gives the same mode to those beside it. An existing file is not opened
// here: closing it would free the locks that this process holds on it.
func private(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return file.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, beside := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + beside)
		if err != nil || info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(path+beside, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func connect(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_pragma": append(pragmas, fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "synchronous(FULL)", "wal_autocheckpoint(0)", "cell_size_check(1)", "trusted_schema(0)")}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return sql.Open("sqlite", u.String())
}

// prepare turns the file to write-ahead logging, and gives it its tables when it is new.
func (s *Store) prepare() error {
	fresh, err := s.glance()
	if err != nil {
		return err // nothing of what is somebody else's has been changed
	}
	if fresh { // before the first page is written: then the file can be made smaller, page by page
		if err := s.writer.exec("PRAGMA auto_vacuum = INCREMENTAL"); err != nil {
			return err
		}
	}
	if err := s.begin(); err != nil {
		return err
	}
	if fresh, err = s.recognise(); err == nil && fresh {
		for _, statement := range statements() {
			if err = s.writer.exec(statement); err != nil {
				break
			}
		}
	}
	if err != nil {
		_ = s.writer.exec("ROLLBACK")
		return err
	}
	return s.writer.exec("COMMIT")
}

// glance recognises the file as of one moment: another process may be making its tables.
func (s *Store) glance() (fresh bool, err error) {
	if err := s.writer.exec("BEGIN"); err != nil {
		return false, err
	}
	fresh, err = s.recognise()
	if end := s.writer.exec("ROLLBACK"); err == nil {
		err = end
	}
	return fresh, err
}

// begin starts the first transaction. SQLite does not wait for others while it changes the mode of the journal, so that is tried again.
func (s *Store) begin() error {
	deadline := time.Now().Add(busyTimeout)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		mode := ""
		err := s.writer.row("PRAGMA journal_mode = WAL", nil, &mode)
		if err == nil && mode != "wal" {
			return fmt.Errorf("its file system gives no shared memory, which write-ahead logging needs (journal mode %q)", mode)
		}
		if err == nil {
			err = s.writer.exec("BEGIN IMMEDIATE")
		}
		if err == nil || code(err) != codes.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
		time.Sleep(wait) // between processes there is no event to wait for
	}
}

// recognise tells whether the file is empty, and refuses one that is not a store of this format.
func (s *Store) recognise() (fresh bool, err error) {
	var app, version, tables int
	for pragma, into := range map[string]*int{"PRAGMA application_id": &app, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &tables} {
		if err := s.writer.row(pragma, nil, into); err != nil {
			return false, err
		}
	}
	switch {
	case app == 0 && version == 0 && tables == 0:
		return true, nil
	case app != application:
		return false, errors.New("it is a database of something else")
	case version > format:
		return false, fmt.Errorf("it was written by a newer release of slop (format %d, this one knows %d): use that release", version, format)
	case version < format:
		return false, fmt.Errorf("%w: format %d was never released", store.ErrCorrupt, version)
	}
	have := map[string]bool{}
	err = s.writer.rows("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL", nil, func(scan func(...any) error) error {
		text := ""
		err := scan(&text)
		have[text] = true
		return err
	})
	if err != nil {
		return false, err
	}
	for _, statement := range statements() {
		if strings.HasPrefix(statement, "CREATE ") && !have[statement] {
			return false, fmt.Errorf("%w: its table of tables", store.ErrCorrupt)
		}
	}
	return false, nil
}

func statements() []string {
	var out []string
	for statement := range strings.SplitSeq(schema, ";\n") {
		if statement = strings.TrimSpace(statement); statement != "" {
			out = append(out, statement)
		}
	}
	return append(out, fmt.Sprintf("PRAGMA application_id = %d", application), fmt.Sprintf("PRAGMA user_version = %d", format))
}

// Close answers what is queued and gives the file back.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() {
		close(s.closing)
		<-s.ended
		err = s.closeFiles()
	})
	return err
}

func (s *Store) closeFiles() error {
	var errs []error
	if s.reads != nil {
		errs = append(errs, s.reads.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// ready refuses when the context has ended, or the store has.
func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// fault is an error of SQLite or its driver, as opposed to a refusal of ours.
type fault struct{ error }

func (f *fault) Unwrap() error { return f.error }

// faulty wraps an error of reading. A value of another kind than was written, which database/sql cannot convert, is damage.
func faulty(err error) error {
	if strings.HasPrefix(err.Error(), "sql: Scan error") {
		err = fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return &fault{err}
}

// spoiled tells that a row is damaged in itself, while what is around it can be read and written.
func spoiled(err error) bool { return errors.Is(err, store.ErrCorrupt) && code(err) == 0 }

// code is SQLite's code of an error without its extension; 0 when it has none.
func code(err error) int { return extended(err) & 0xff }

func extended(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// damaged marks an error by which SQLite says that the file is.
func damaged(err error) error {
	if c := code(err); c == codes.SQLITE_CORRUPT || c == codes.SQLITE_NOTADB {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}

func corrupt(id run.ID, what string, args ...any) error {
	return fmt.Errorf("run %s: %w: %s", id, store.ErrCorrupt, fmt.Sprintf(what, args...))
}
