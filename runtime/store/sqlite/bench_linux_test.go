package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	b.Run("new", func(b *testing.B) {
		for i := range b.N {
			if err := open(b, filepath.Join(dir, fmt.Sprint(b.N, "-", i))).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("old", func(b *testing.B) {
		for range b.N {
			if err := open(b, filepath.Join(dir, "old")).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// step is what one step of a sequence appends: the end of a call and the start of the next.
func step(head run.Seq) []run.Fact {
	return []run.Fact{
		{Seq: head + 1, At: at, Body: &run.CallDone{Path: "poem#2/review", Attempt: 1, Value: strings.Repeat("a", 150), Usage: run.Usage{Calls: 1, Input: 200, Output: 90, Tokens: run.Reported, Model: "m"}}},
		{Seq: head + 2, At: at, Body: &run.CallStarted{Path: "poem#3/review", Attempt: 1, Key: "01J9ZK4Q6Y8W3V5T7S2R1P0N9M/poem#3/review", Fingerprint: strings.Repeat("f", 64)}},
	}
}

// lines is the same in bytes.
func lines(b *testing.B, facts []run.Fact) []byte {
	var out []byte
	for _, f := range facts {
		data, err := run.EncodeFact(f)
		if err != nil {
			b.Fatal(err)
		}
		out = append(append(out, data...), '\n')
	}
	return out
}

// BenchmarkSequential is the durable step, beside what the disk takes for the same bytes: an append and an fdatasync.
func BenchmarkSequential(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		s := closing(b, open(b, filepath.Join(b.TempDir(), "store.db")))
		l, err := s.Create(b.Context(), "r", "me", 0, started("p"))
		if err != nil {
			b.Fatal(err)
		}
		head := run.Seq(1)
		for b.Loop() {
			if err := s.Append(b.Context(), l, head, step(head)...); err != nil {
				b.Fatal(err)
			}
			head += 2
		}
	})
	b.Run("raw", func(b *testing.B) {
		file, err := os.Create(filepath.Join(b.TempDir(), "log"))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		head := run.Seq(1)
		for b.Loop() {
			if _, err := file.Write(lines(b, step(head))); err != nil {
				b.Fatal(err)
			}
			if err := syscall.Fdatasync(int(file.Fd())); err != nil {
				b.Fatal(err)
			}
			head += 2
		}
	})
}

const crowd = 1000 // runs under way at once

// BenchmarkGrouped is a crowd of runs that append at once, beside raw grouped appends of the same bytes to an equal SQLite file: the same driver, settings and
// table, without runs, heads, leases and checksums.
func BenchmarkGrouped(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		s := closing(b, open(b, filepath.Join(b.TempDir(), "store.db")))
		leases, heads := make([]run.Lease, crowd), make([]run.Seq, crowd)
		var group sync.WaitGroup
		for i := range crowd {
			group.Go(func() {
				var err error
				if leases[i], err = s.Create(b.Context(), run.ID(fmt.Sprintf("01J9ZK4Q6Y8W3V5T7S2R1P%04d", i)), "me", 0, started("p")); err != nil {
					b.Error(err)
				}
				heads[i] = 1
			})
		}
		group.Wait()
		together(b, func(i int) error {
			err := s.Append(context.Background(), leases[i], heads[i], step(heads[i])...)
			heads[i] += 2
			return err
		})
	})
	b.Run("raw", func(b *testing.B) {
		r := newRaw(b, filepath.Join(b.TempDir(), "raw.db"))
		heads := make([]run.Seq, crowd)
		together(b, func(i int) error {
			heads[i] += 2
			return r.append(i, heads[i], lines(b, step(heads[i]-2)))
		})
		r.close()
	})
}

// together has every run of the crowd do its share of b.N appends.
func together(b *testing.B, do func(i int) error) {
	b.ResetTimer()
	busy := processor(b)
	var next atomic.Int64
	var group sync.WaitGroup
	for i := range crowd {
		group.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64((processor(b)-busy).Nanoseconds())/float64(b.N), "cpu-ns/op") // what a busy machine leaves comparable
}

// processor is the time that this process has spent on a processor.
func processor(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

type rawRow struct {
	run  int
	last run.Seq
	data []byte
	done chan error
}

type raw struct {
	rows  chan rawRow
	ended chan struct{}
}

func newRaw(b *testing.B, path string) *raw {
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{"CREATE TABLE facts (n INTEGER PRIMARY KEY, run INTEGER NOT NULL, last INTEGER NOT NULL, data BLOB NOT NULL)", "CREATE UNIQUE INDEX facts_run ON facts (run, last)"} {
		if _, err := db.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
	r := &raw{rows: make(chan rawRow, crowd), ended: make(chan struct{})}
	go r.write(b, db)
	return r
}

func (r *raw) append(run int, last run.Seq, data []byte) error {
	done := make(chan error, 1)
	r.rows <- rawRow{run, last, data, done}
	return <-done
}

func (r *raw) close() {
	close(r.rows)
	<-r.ended
}

func (r *raw) write(b *testing.B, db *sql.DB) {
	defer close(r.ended)
	defer func() { _ = db.Close() }()
	for first := range r.rows {
		group := []rawRow{first}
		for more := true; more; {
			select {
			case row, ok := <-r.rows:
				if more = ok; ok {
					group = append(group, row)
				}
			default:
				more = false
			}
		}
		err := r.store(db, group)
		for _, row := range group {
			row.done <- err
		}
	}
}

func (r *raw) store(db *sql.DB, group []rawRow) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	stmt, err := tx.Prepare("INSERT INTO facts (run, last, data) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	for _, row := range group {
		if _, err := stmt.Exec(row.run, int64(row.last), row.data); err != nil {
			return err
		}
	}
	return tx.Commit()
}
