package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// Problem is something that Check found.
type Problem struct {
	Run  run.ID // "": of no run alone
	What string
}

func (p Problem) String() string {
	if p.Run == "" {
		return p.What
	}
	return fmt.Sprintf("run %s: %s", p.Run, p.What)
}

// Check reads everything as of one moment, while others go on: SQLite's own check of pages and indexes, the checksum of every row, gaps between facts, runs
// whose plan is missing, bytes that are not those of their hash. Without a problem it yields nothing. An error ends it, as when the context does.
func (s *Store) Check(ctx context.Context) iter.Seq2[Problem, error] {
	return func(yield func(Problem, error) bool) {
		if err := s.ready(ctx); err != nil {
			yield(Problem{}, err)
			return
		}
		conn, err := s.reads.Conn(ctx)
		if err != nil {
			yield(Problem{}, err)
			return
		}
		defer func() { _ = conn.Close() }()
		c := &check{ctx: ctx, conn: conn, yield: yield, blobs: map[string]bool{}, runs: map[int64]run.ID{}, heads: map[int64]run.Seq{}}
		defer func() { _, _ = conn.ExecContext(context.Background(), "ROLLBACK") }()
		if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
			yield(Problem{}, damaged(err))
			return
		}
		for _, part := range []func(){c.pages, c.keptBlobs, c.allRuns, c.told, c.hints, c.limits, c.entries, c.docs} {
			if part(); c.over {
				return
			}
		}
	}
}

type check struct {
	ctx   context.Context
	conn  *sql.Conn
	yield func(Problem, error) bool
	over  bool

	blobs map[string]bool // that are whole
	runs  map[int64]run.ID
	heads map[int64]run.Seq
}

func (c *check) report(id run.ID, what string, args ...any) {
	if !c.over && !c.yield(Problem{id, fmt.Sprintf(what, args...)}, nil) {
		c.over = true
	}
}

// rows goes over the rows of a query. What cannot be read is a problem of its own.
func (c *check) rows(what, query string, args []any, each func(scan func(...any) error) error) {
	if c.over {
		return
	}
	rows, err := c.conn.QueryContext(c.ctx, query, args...)
	if err == nil {
		for rows.Next() && !c.over {
			if err := each(rows.Scan); err != nil {
				c.report("", "%s: a row cannot be read: %v", what, err)
			}
		}
		err = errors.Join(rows.Err(), rows.Close())
	}
	if c.over {
		return
	}
	if c.ctx.Err() != nil {
		c.over = true
		c.yield(Problem{}, c.ctx.Err())
		return
	}
	if err != nil {
		c.report("", "%s cannot be read: %v", what, err)
	}
}

func (c *check) pages() {
	c.rows("the file", "PRAGMA integrity_check", nil, func(scan func(...any) error) error {
		var line string
		if err := scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			c.report("", "the file: %s", line)
		}
		return nil
	})
}

func (c *check) keptBlobs() {
	bytes := map[int64]bool{}
	c.rows("blobs", "SELECT b.n, b.hash, b.size, b.put, b.crc, y.data FROM blobs b LEFT JOIN bytes y ON y.n = b.n ORDER BY b.n", nil, func(scan func(...any) error) error {
		var n, size, put, crc int64
		var hash string
		var data []byte
		if err := scan(&n, &hash, &size, &put, &crc, &data); err != nil {
			return err
		}
		bytes[n] = true
		digest := sha256.Sum256(data)
		switch {
		case crc != sum(hash, size, put):
			c.report("", "blob %s: its row does not fit its checksum", hash)
		case size != int64(len(data)) || hex.EncodeToString(digest[:]) != hash:
			c.report("", "blob %s: its bytes are not those of its hash", hash)
		default:
			c.blobs[hash] = true
		}
		return nil
	})
	c.rows("bytes", "SELECT n FROM bytes", nil, func(scan func(...any) error) error {
		var n int64
		err := scan(&n)
		if err == nil && !bytes[n] {
			c.report("", "bytes %d belong to no blob", n)
		}
		return err
	})
}

func (c *check) allRuns() {
	var states []*state
	c.rows("runs", "SELECT "+stateColumns+" FROM runs ORDER BY n", nil, func(scan func(...any) error) error {
		r := &state{}
		switch err := r.scan(scan); {
		case errors.Is(err, store.ErrCorrupt):
			c.report(r.id, "its row does not fit its checksum")
		case err != nil:
			return err
		}
		c.runs[r.n], c.heads[r.n] = r.id, r.head
		states = append(states, r)
		return nil
	})
	for _, r := range states {
		c.facts(r)
	}
	c.rows("facts", "SELECT n, run FROM facts NOT INDEXED", nil, func(scan func(...any) error) error {
		var n, of int64
		err := scan(&n, &of)
		if _, ok := c.runs[of]; err == nil && !ok {
			c.report("", "row %d of the facts belongs to no run", n)
		}
		return err
	})
}

// facts holds the log of a run against its row.
func (c *check) facts(r *state) {
	var at run.Seq
	var last run.Fact
	c.rows(fmt.Sprintf("the facts of run %s", r.id), "SELECT last, crc, data FROM facts WHERE run = ? ORDER BY last", []any{r.n}, func(scan func(...any) error) error {
		var end, crc int64
		var data []byte
		if err := scan(&end, &crc, &data); err != nil {
			return err
		}
		if crc != sum(string(r.id), end, data) {
			c.report(r.id, "the facts up to %d do not fit their checksum", end)
			at = run.Seq(end)
			return nil
		}
		facts, err := decode(r.id, run.Seq(end), data)
		if err != nil {
			c.report(r.id, "%v", err)
			at = run.Seq(end)
			return nil
		}
		if facts[0].Seq != at+1 {
			c.report(r.id, "after fact %d comes fact %d", at, facts[0].Seq)
		}
		for _, f := range facts {
			f.Blobs(func(hash string) {
				if hash != "" && !c.blobs[hash] {
					c.report(r.id, "fact %d names blob %s, which is missing", f.Seq, hash)
				}
			})
			if _, ended := last.Body.(*run.Finished); ended {
				c.report(r.id, "fact %d follows the end", f.Seq)
			}
			last = f
		}
		at = run.Seq(end)
		return nil
	})
	if at != r.head {
		c.report(r.id, "its facts end at %d and should at %d", at, r.head)
	}
	if last.Body != nil {
		if _, ended := last.Body.(*run.Finished); ended != r.finished {
			c.report(r.id, "its row and its last fact disagree on whether it is finished")
		}
	}
}

func (c *check) told() {
	c.rows("tells", "SELECT n, run, seq, coalesce(dedup, ''), crc FROM tells", nil, func(scan func(...any) error) error {
		var n, of, seq, crc int64
		var dedup string
		if err := scan(&n, &of, &seq, &dedup, &crc); err != nil {
			return err
		}
		id, ok := c.runs[of]
		if !ok {
			c.report("", "row %d of what was told belongs to no run", n)
		} else if crc != sum(string(id), dedup, seq) || run.Seq(seq) > c.heads[of] {
			c.report(id, "row %d of what it was told does not fit its checksum", n)
		}
		return nil
	})
}

func (c *check) hints() {
	c.rows("hints", "SELECT id, pool, priority, due, crc FROM hints", nil, func(scan func(...any) error) error {
		var h store.Hint
		var due, crc int64
		err := scan(&h.Run, &h.Pool, &h.Priority, &due, &crc)
		if err == nil && crc != hintSum(h, due) {
			c.report(h.Run, "its hint does not fit its checksum")
		}
		return err
	})
}

func (c *check) limits() {
	c.rows("slots", "SELECT name, holder, until, crc FROM slots", nil, func(scan func(...any) error) error {
		var name, holder string
		var until, crc int64
		err := scan(&name, &holder, &until, &crc)
		if err == nil && crc != sum(name, holder, until) {
			c.report("", "a slot of limit %q does not fit its checksum", name)
		}
		return err
	})
	c.rows("rates", "SELECT name, arrival, crc FROM rates", nil, func(scan func(...any) error) error {
		var name string
		var arrival, crc int64
		err := scan(&name, &arrival, &crc)
		if err == nil && crc != sum(name, arrival) {
			c.report("", "rate %q does not fit its checksum", name)
		}
		return err
	})
}

// entries compares what lists sort and choose by with what they show.
func (c *check) entries() {
	c.rows("the index", "SELECT run, started, status, flow, pool, tenant, waiting, id, crc, data FROM entries", nil, func(scan func(...any) error) error {
		var of, started int64
		var status, flow, pool, tenant string
		var waiting bool
		e, err := readEntry(func(into ...any) error {
			return scan(append([]any{&of, &started, &status, &flow, &pool, &tenant, &waiting}, into...)...)
		})
		switch {
		case errors.Is(err, store.ErrCorrupt):
			c.report(c.runs[of], "its entry in the index does not fit its checksum")
			return nil
		case err != nil:
			return err
		case c.runs[of] != e.Run:
			c.report(e.Run, "its entry in the index belongs to no run")
		case started != e.Started.UnixNano() || status != string(e.Status) || flow != e.Flow || pool != e.Pool || tenant != e.Tenant || waiting != (len(e.Waiting) > 0):
			c.report(e.Run, "its entry in the index is filed under something else")
		}
		return nil
	})
}

func (c *check) docs() {
	c.rows("documents", "SELECT kind, name, version, crc, data FROM docs", nil, func(scan func(...any) error) error {
		var kind, name string
		var version, crc int64
		var data []byte
		err := scan(&kind, &name, &version, &crc, &data)
		if err == nil && crc != sum(kind, name, version, data) {
			c.report("", "%s %s does not fit its checksum", kind, name)
		}
		return err
	})
}
