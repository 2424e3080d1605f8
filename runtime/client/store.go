package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/wire"
)

// ErrElsewhere is of what only a process that works on runs does.
var ErrElsewhere = errors.New("this is the business of the server")

// Store is a server as a store of runs, for programs that read and steer runs: it tells what the server knows, and what it is told is asked of the server. It
// leases nothing and keeps nothing.
type Store struct {
	*Client
	mu    sync.Mutex
	blobs map[string][]byte // what the histories that were read name, by hash
}

var _ store.Store = (*Store)(nil)

// NewStore shows the runs of a server as a store.
func NewStore(c *Client) *Store { return &Store{Client: c, blobs: map[string][]byte{}} }

// Close implements store.Store.
func (*Store) Close() error { return nil }

// outward turns errors of the server into those of a store.
func outward(err error) error {
	switch {
	case errors.Is(err, runs.ErrNotFound):
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	case errors.Is(err, runs.ErrFinished):
		return fmt.Errorf("%w: %w", store.ErrFinished, err)
	}
	return err
}

// Load implements store.Log.
func (s *Store) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	h, blobs, err := s.History(ctx, id)
	if err != nil {
		return nil, outward(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, data := range blobs {
		s.blobs[hash] = data
	}
	s.blobs[plan.Hash(h.Plan)] = plan.Encode(h.Plan)
	return h.Facts[min(int(after), len(h.Facts)):], nil
}

// Tail implements store.Log.
func (s *Store) Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error] {
	return func(yield func(run.Fact, error) bool) {
		for e, err := range s.Watch(ctx, id, after) {
			if err != nil {
				yield(run.Fact{}, outward(err))
				return
			}
			if e.Fact != nil && !yield(*e.Fact, nil) {
				return
			}
		}
	}
}

// Tell implements store.Log: what it tells is asked of the server, which checks it and notes who asked.
func (s *Store) Tell(ctx context.Context, id run.ID, f run.Fact, _ string) (run.Seq, error) {
	var err error
	switch b := f.Body.(type) {
	case *run.PauseAsked:
		err = s.Pause(ctx, id, b.By, b.Reason)
	case *run.ResumeAsked:
		err = s.Resume(ctx, id, b.By, b.Reason)
	case *run.CancelAsked:
		err = s.Cancel(ctx, id, b.By, b.Reason)
	case *run.Answered:
		err = s.Answer(ctx, id, b.Path, runs.Because(b.Value, b.Reason), b.By)
	default:
		err = ErrElsewhere
	}
	if err != nil {
		return 0, outward(err)
	}
	told, err := s.Run(ctx, id)
	if err != nil {
		return 0, outward(err)
	}
	return told.Seq, nil
}

// GetBlob implements store.Blobs, for what a history that was loaded names.
func (s *Store) GetBlob(_ context.Context, hash string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.blobs[hash]
	if !ok {
		return nil, store.ErrNotFound
	}
	return data, nil
}

// Holder implements store.Log: who works on a run is the server's business, and somebody does as long as it has not ended.
func (s *Store) Holder(ctx context.Context, id run.ID) (string, error) {
	told, err := s.Run(ctx, id)
	switch {
	case err != nil:
		return "", outward(err)
	case told.FinishedAt != nil:
		return "", nil
	}
	return s.Server(), nil
}

// List implements store.Index.
func (s *Store) List(ctx context.Context, f store.Filter) ([]store.Entry, string, error) {
	entries, next, err := s.Client.List(ctx, f)
	if err != nil {
		return nil, "", outward(err)
	}
	out := make([]store.Entry, len(entries))
	for i, e := range entries {
		out[i] = entryOf(e)
	}
	return out, next, nil
}

func entryOf(e wire.Entry) store.Entry {
	u := wire.ReadUsage(wire.Usage{Tokens: wire.NoSource}, e.Cost)
	out := store.Entry{Run: e.ID, Flow: e.Flow, Status: e.Status, Cost: u.Cost, CostSource: u.CostSource, Code: e.Code, Waiting: e.Waiting, Tags: e.Tags}
	if e.CreatedAt != nil {
		out.Started = *e.CreatedAt
	}
	if e.FinishedAt != nil {
		out.Finished = *e.FinishedAt
	}
	return out
}

// GetEntry implements store.Index.
func (s *Store) GetEntry(ctx context.Context, id run.ID) (store.Entry, error) {
	told, err := s.Run(ctx, id)
	if err != nil {
		return store.Entry{}, outward(err)
	}
	return entryOf(wire.Entry{ID: told.ID, Flow: told.Flow, Status: told.Status, CreatedAt: told.CreatedAt, FinishedAt: told.FinishedAt, Cost: told.Cost, Tags: told.Tags}), nil
}

// Unfinished implements store.Log.
func (s *Store) Unfinished(ctx context.Context, _ string) iter.Seq2[run.ID, error] {
	return func(yield func(run.ID, error) bool) {
		f := store.Filter{Status: []run.Status{run.Queued, run.Running, run.Waiting, run.Paused}}
		for {
			entries, next, err := s.Client.List(ctx, f)
			if err != nil {
				yield("", outward(err))
				return
			}
			for _, e := range entries {
				if !yield(e.ID, nil) {
					return
				}
			}
			if f.Cursor = next; next == "" {
				return
			}
		}
	}
}

// PutEntries implements store.Index: the server keeps its own list.
func (*Store) PutEntries(context.Context, ...store.Entry) error { return nil }

// Release implements store.Log: nothing was leased.
func (*Store) Release(context.Context, run.Lease) error { return nil }

// Claim implements store.Log: the server holds its runs.
func (*Store) Claim(context.Context, run.ID, string, time.Duration) (run.Lease, error) {
	return run.Lease{}, store.ErrHeld
}

// Strays implements store.Log: the server sweeps.
func (*Store) Strays(context.Context, string) iter.Seq2[store.Hint, error] {
	return func(func(store.Hint, error) bool) {}
}

// Lapsed implements store.Log: the server sees to its leases.
func (*Store) Lapsed(context.Context, string) iter.Seq2[store.Hint, error] {
	return func(func(store.Hint, error) bool) {}
}

// Told implements store.Log: nobody here works on runs.
func (*Store) Told(ctx context.Context) iter.Seq2[run.ID, error] {
	return func(func(run.ID, error) bool) { <-ctx.Done() }
}

// Hinted implements store.Queue.
func (*Store) Hinted(ctx context.Context, _ string) iter.Seq2[struct{}, error] {
	return func(func(struct{}, error) bool) { <-ctx.Done() }
}

// AllBlobs implements store.Blobs.
func (*Store) AllBlobs(context.Context) iter.Seq2[store.Blob, error] {
	return func(yield func(store.Blob, error) bool) { yield(store.Blob{}, ErrElsewhere) }
}

// AllDocs implements store.Docs.
func (*Store) AllDocs(context.Context, string, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", ErrElsewhere) }
}

// Create implements store.Log.
func (*Store) Create(context.Context, run.ID, string, time.Duration, ...run.Fact) (run.Lease, error) {
	return run.Lease{}, ErrElsewhere
}

// Extend implements store.Log.
func (*Store) Extend(context.Context, run.Lease, time.Duration) (run.Lease, error) {
	return run.Lease{}, ErrElsewhere
}

// Rest implements store.Log.
func (*Store) Rest(context.Context, run.Lease, run.Seq, time.Time) error { return ErrElsewhere }

// Append implements store.Log.
func (*Store) Append(context.Context, run.Lease, run.Seq, ...run.Fact) error { return ErrElsewhere }

// Remove implements store.Log.
func (*Store) Remove(context.Context, run.ID) error { return ErrElsewhere }

// Enqueue implements store.Queue.
func (*Store) Enqueue(context.Context, store.Hint) error { return ErrElsewhere }

// Dequeue implements store.Queue.
func (*Store) Dequeue(context.Context, string) (store.Hint, bool, time.Time, error) {
	return store.Hint{}, false, time.Time{}, ErrElsewhere
}

// Queued implements store.Queue.
func (*Store) Queued(context.Context, string) (int, error) { return 0, ErrElsewhere }

// Take implements store.Limits.
func (*Store) Take(context.Context, string, string, int, time.Duration) (bool, error) {
	return false, ErrElsewhere
}

// Give implements store.Limits.
func (*Store) Give(context.Context, string, string) error { return ErrElsewhere }

// Pass implements store.Limits.
func (*Store) Pass(context.Context, string, store.Rate) (time.Duration, error) {
	return 0, ErrElsewhere
}

// PutBlob implements store.Blobs.
func (*Store) PutBlob(context.Context, []byte) (string, error) { return "", ErrElsewhere }

// DropBlob implements store.Blobs.
func (*Store) DropBlob(context.Context, string, time.Time) error { return ErrElsewhere }

// PutDoc implements store.Docs.
func (*Store) PutDoc(context.Context, string, string, uint64, []byte) error { return ErrElsewhere }

// GetDoc implements store.Docs.
func (*Store) GetDoc(context.Context, string, string) ([]byte, uint64, error) {
	return nil, 0, ErrElsewhere
}

// DropDoc implements store.Docs.
func (*Store) DropDoc(context.Context, string, string, uint64) error { return ErrElsewhere }
