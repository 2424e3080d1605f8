package engine

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// lossy is how long stored facts are kept for a store that may lose its last seconds: a server that syncs its file once a second loses up to two. maxRecent
// bounds them for a run that is very busy.
const (
	lossy     = 5 * time.Second
	maxRecent = 50_000
)

// memorize keeps facts that are stored for as long as the store may lose them.
func (s *session) memorize(facts []run.Fact) {
	if !s.engine.forgets || len(facts) == 0 {
		return
	}
	if n := len(s.recent); n > 0 && s.recent[n-1].Seq+1 != facts[0].Seq {
		s.recent = nil
	}
	old := max(0, min(len(s.recent), len(s.recent)+len(facts)-maxRecent))
	for old < len(s.recent) && s.now.Sub(s.recent[old].At) > lossy {
		old++
	}
	s.recent = append(s.recent[old:], facts...)
}

// mend writes again what the store lost of the end of the log: whoever heard of those facts was told that they are stored. What cannot be written again, because
// it is too long ago or the log went another way, stays lost, and the run goes on from what is left.
//
// It is false when the session may not go on: another has the run, or the store is out of reach.
func (s *session) mend() bool {
	if len(s.recent) == 0 {
		return true
	}
	err := s.rewrite()
	switch {
	case err == nil:
		return true
	case errors.Is(err, store.ErrFinished):
		s.err = fmt.Errorf("run %s went to another worker: %w", s.id, err)
	case errors.Is(err, store.ErrFenced):
		if s.regain() {
			s.goOut()
		}
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrExists):
		s.goOut() // to look again
	default:
		s.troubled(err)
	}
	return false
}

// rewrite is one try to mend.
func (s *session) rewrite() error {
	log := s.engine.store
	first, last := s.recent[0].Seq, s.recent[len(s.recent)-1].Seq
	if end, err := log.Load(s.ctx, s.id, last-1); err == nil && len(end) > 0 {
		return nil // it is all there: nothing more need be read
	}
	stored, err := log.Load(s.ctx, s.id, 0)
	gone := errors.Is(err, store.ErrNotFound)
	if err != nil && !gone {
		return err
	}
	head := run.Seq(len(stored))
	if head >= last || head+1 < first || head >= first && !same(s.recent[head-first], stored[head-1]) {
		return nil
	}
	if _, err := log.PutBlob(s.ctx, plan.Encode(s.plan)); err != nil { // it may be lost with them
		return err
	}
	missing, err := s.whole(s.recent[head+1-first:])
	if err != nil || len(missing) == 0 {
		return err
	}
	if !gone {
		return log.Append(s.ctx, s.lease.Load().Lease, head, missing...)
	}
	asked := wall()
	lease, err := log.Create(s.ctx, s.id, s.engine.owner, s.engine.ttl, missing...)
	if err == nil {
		s.lease.Store(s.engine.held(lease, asked))
	}
	return err
}

// whole cuts facts off before the first that names bytes which are lost too: what it says is to be done again.
func (s *session) whole(facts []run.Fact) ([]run.Fact, error) {
	for i, f := range facts {
		var err error
		f.Blobs(func(hash string) {
			if err == nil {
				_, err = s.engine.store.GetBlob(s.ctx, hash)
			}
		})
		switch {
		case errors.Is(err, store.ErrNotFound):
			return facts[:i], nil
		case err != nil:
			return nil, err
		}
	}
	return facts, nil
}

// same compares two facts by what is stored of them.
func same(a, b run.Fact) bool {
	if a.Body == b.Body && a.Seq == b.Seq && a.At.Equal(b.At) {
		return true
	}
	x, errX := run.EncodeFact(a)
	y, errY := run.EncodeFact(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
