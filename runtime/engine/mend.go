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
func (s *session) mend() error {
	rest := firstRest
	for len(s.recent) > 0 {
		done, err := s.rewrite()
		if done || err != nil {
			return err
		}
		if err := s.pause(&rest); err != nil {
			return err
		}
	}
	return nil
}

// rewrite is one try to mend. While it is not done nobody knows what is stored. An error ends the session: another has the run.
func (s *session) rewrite() (done bool, err error) {
	first, last := s.recent[0].Seq, s.recent[len(s.recent)-1].Seq
	if end, err := s.load(last - 1); err == nil && len(end) > 0 {
		return true, nil // it is all there: nothing more need be read
	}
	stored, err := s.load(0)
	gone := errors.Is(err, store.ErrNotFound)
	if err != nil && !gone {
		return false, err
	}
	head := run.Seq(len(stored))
	if head >= last || head+1 < first || head >= first && !same(s.recent[head-first], stored[head-1]) {
		return true, nil
	}
	if _, err := s.engine.store.PutBlob(s.ctx, plan.Encode(s.plan)); err != nil { // it may be lost with them
		return false, nil
	}
	missing, err := s.whole(s.recent[head+1-first:])
	if err != nil || len(missing) == 0 {
		return err == nil, nil
	}
	if gone {
		asked := wall()
		lease, err := s.engine.store.Create(s.ctx, s.id, s.engine.owner, s.engine.ttl, missing...)
		if err == nil {
			s.lease.Store(s.engine.held(lease, asked))
		}
		return err == nil, nil
	}
	err = s.engine.store.Append(s.ctx, s.lease.Load().Lease, head, missing...)
	switch {
	case errors.Is(err, store.ErrFinished):
		return false, fmt.Errorf("run %s went to another worker: %w", s.id, err)
	case errors.Is(err, store.ErrFenced):
		if !s.regain() {
			return false, s.err
		}
	}
	return err == nil, nil
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
	x, errX := run.EncodeFact(a)
	y, errY := run.EncodeFact(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
