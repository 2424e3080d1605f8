package engine_test

import (
	"context"
	"database/sql"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/store/sqlite"
)

// BenchmarkDiamonds1000OnSQLite runs 1,000 diamonds at once on the embedded store. Its yardstick appends the same facts to an equal file without any store around
// it: 1,000 callers that wait for each of their appends, one writer that commits what has come meanwhile.
func BenchmarkDiamonds1000OnSQLite(b *testing.B) {
	const crowd, steps = 1000, 10
	p, registry := paidDiamond(b)
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "runs.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	plain := newGrouped(b)
	var took time.Duration
	rounds := 0
	for b.Loop() {
		ids := atOnce(b, engine.Config{Store: s, Registry: registry}, p, crowd)

		b.StopTimer()
		var group sync.WaitGroup
		facts, err := s.Load(b.Context(), ids[0], 0)
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for r := range crowd {
			number := rounds*crowd + r
			group.Go(func() {
				for i := 0; i < len(facts); i += 3 { // a result and what begins after it
					var data []byte
					for _, f := range facts[i:min(i+3, len(facts))] {
						raw, err := run.EncodeFact(f)
						if err != nil {
							b.Error(err)
						}
						data = append(data, raw...)
					}
					plain.append(number, i, data)
				}
			})
		}
		group.Wait()
		rounds++
		took += time.Since(began)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*crowd*steps)/b.Elapsed().Seconds(), "steps/s")
	b.ReportMetric(b.Elapsed().Seconds()/took.Seconds(), "x-raw")
}

// paidDiamond is a diamond of calls that are recorded before they begin, and who answers them.
func paidDiamond(b *testing.B) (*plan.Plan, *agent.Registry) {
	paid := signature("noop")
	paid.Effect = types.Read
	p := diamond(paid)
	registry := agent.NewRegistry()
	noop := scripted{signatures: []types.Signature{p.Callees[0]}, call: func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: "x"} }}
	if err := registry.Register("noop", noop, nil); err != nil {
		b.Fatal(err)
	}
	return p, registry
}

// atOnce runs a plan many times at once on an engine of its own.
func atOnce(b *testing.B, c engine.Config, p *plan.Plan, runs int) []run.ID {
	e := engine.New(c)
	var group sync.WaitGroup
	ids := make([]run.ID, runs)
	for i := range ids {
		group.Go(func() {
			id, err := e.Start(b.Context(), p, nil, run.Options{})
			if err != nil {
				b.Error(err)
				return
			}
			if end, err := e.Wait(b.Context(), id); err != nil || end.Status != run.Succeeded {
				b.Errorf("the run ended with %+v, %v", end, err)
			}
			ids[i] = id
		})
	}
	group.Wait()
	if err := e.Close(b.Context()); err != nil {
		b.Error(err)
	}
	return ids
}

// grouped appends rows to a file of its own.
type grouped struct{ rows chan row }

type row struct {
	run, last int
	data      []byte
	done      chan struct{}
}

func newGrouped(b *testing.B) *grouped {
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "raw.db")+"?_pragma=auto_vacuum(INCREMENTAL)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{"CREATE TABLE facts (n INTEGER PRIMARY KEY, run INTEGER NOT NULL, last INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL)", "CREATE UNIQUE INDEX facts_run ON facts (run, last)"} {
		if _, err := db.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
	g := &grouped{make(chan row, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for first := range g.rows {
			group := []row{first}
			for len(g.rows) > 0 {
				group = append(group, <-g.rows)
			}
			tx, err := db.Begin()
			for _, r := range group {
				if err == nil {
					_, err = tx.Exec("INSERT INTO facts (run, last, crc, data) VALUES (?, ?, ?, ?)", r.run, r.last, int64(crc32.ChecksumIEEE(r.data)), r.data)
				}
			}
			if err == nil {
				err = tx.Commit()
			}
			if err != nil {
				b.Error(err)
			}
			for _, r := range group {
				close(r.done)
			}
		}
	}()
	b.Cleanup(func() {
		close(g.rows)
		<-ended
		_ = db.Close()
	})
	return g
}

func (g *grouped) append(run, last int, data []byte) {
	r := row{run, last, data, make(chan struct{})}
	g.rows <- r
	<-r.done
}

// A map of 10,000 calls, 64 at a time, leaves less than 10 MB of facts.
func TestTheLogOfAMapIsSmall(t *testing.T) {
	paid := signature("noop")
	paid.Effect = types.Read
	items := make([]any, 10_000)
	for i := range items {
		items[i] = strconv.Itoa(i)
	}
	p := fanOut(paid, 64)
	registry := agent.NewRegistry()
	noop := scripted{signatures: []types.Signature{p.Callees[0]}, call: func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: "done"} }}
	if err := registry.Register("noop", noop, nil); err != nil {
		t.Fatal(err)
	}
	kept := memory.New()
	e := engine.New(engine.Config{Store: kept, Registry: registry})
	defer shut(t, e)
	id, err := e.Start(t.Context(), p, map[string]any{"items": items}, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if end := wait(t, e, id); end.Status != run.Succeeded {
		t.Fatalf("%+v", end)
	}
	facts, err := kept.Load(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, f := range facts {
		raw, err := run.EncodeFact(f)
		if err != nil {
			t.Fatal(err)
		}
		size += len(raw)
	}
	t.Logf("%d facts, %d bytes", len(facts), size)
	if len(facts) < 20_000 || size > 10_000_000 {
		t.Errorf("%d facts take %d bytes", len(facts), size)
	}
}
