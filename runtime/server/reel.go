package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

// The bounds of what is kept for watchers.
const (
	reelBytes    = 8 << 20   // of the frames of one run
	reelsBytes   = 256 << 20 // of all runs together
	leastReel    = 256 << 10 // however many runs are watched
	reelLinger   = 10 * time.Second
	catchingUp   = 4 // watchers at a time that read what a reel does not have any more
	reelTroubles = 250 * time.Millisecond
)

// frame is a piece of news as it is sent.
type frame struct {
	seq  run.Seq // of a fact; 0: it is none
	past run.Seq // of the last fact up to here
	name string  // of the event
	soft bool    // progress: worth nothing to who comes later
	data []byte  // a JSON object
}

// reel follows one run for everybody who watches it here. Its facts are folded and written as JSON once, whoever reads, and each watcher has a place in the
// list of frames: a slow one holds up nobody, and costs no memory of its own.
//
//	base                              base+len(frames)
//	 │  frames: fact, note, fact, progress, fact … ──▶ grows while the run does
//	 └─ the oldest go when there are too many bytes: who stands there is too slow, and goes on from a seq
type reel struct {
	id       run.ID
	cancel   context.CancelFunc
	watchers int // guarded by reels.mu

	mu     sync.Mutex
	frames []frame
	base   int // place of frames[0]
	bytes  int
	cut    run.Seq // of the newest fact that is not kept any more
	over   error   // nothing more comes: errOver, or why
	grown  chan struct{}
}

var (
	errOver = errors.New("the run is finished")
	errSlow = errors.New("too slow")
)

// reels are the runs that are watched.
type reels struct {
	server *Server
	mu     sync.Mutex
	open   map[run.ID]*reel
	group  sync.WaitGroup
	behind chan struct{} // slots of those who catch up
}

func (s *reels) init(server *Server) {
	s.server, s.open, s.behind = server, map[run.ID]*reel{}, make(chan struct{}, catchingUp)
}

func (s *reels) wait() { s.group.Wait() }

// join gives the reel of a run, which begins with its first watcher.
func (s *reels) join(id run.ID) *reel {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.open[id]
	if r == nil {
		ctx, cancel := context.WithCancel(s.server.ctx)
		r = &reel{id: id, cancel: cancel, grown: make(chan struct{})}
		s.open[id] = r
		s.group.Go(func() { s.follow(ctx, r) })
	}
	r.watchers++
	return r
}

// leave ends a reel that nobody watches any more, after a while: whose connection broke is soon back.
func (s *reels) leave(r *reel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.watchers--; r.watchers > 0 {
		return
	}
	time.AfterFunc(reelLinger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.watchers == 0 && s.open[r.id] == r {
			delete(s.open, r.id)
			r.cancel()
		}
	})
}

// share is how many bytes a reel may keep.
func (s *reels) share() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(reelBytes, max(leastReel, reelsBytes/max(1, len(s.open))))
}

// follow makes frames of what happens in a run until it is over.
func (s *reels) follow(ctx context.Context, r *reel) {
	err := s.shoot(ctx, r)
	if !errors.Is(err, errOver) {
		s.mu.Lock()
		if s.open[r.id] == r {
			delete(s.open, r.id) // who comes again finds out anew
		}
		s.mu.Unlock()
	}
	r.mu.Lock()
	r.over = err
	r.wake()
	r.mu.Unlock()
}

func (s *reels) shoot(ctx context.Context, r *reel) error {
	var m *maker
	last := run.Seq(0)
	for {
		for e, err := range s.server.config.Host.Watch(ctx, r.id, last) {
			if err != nil {
				if errors.Is(err, runs.ErrNotFound) || errors.Is(err, runs.ErrClosed) || ctx.Err() != nil {
					return err
				}
				break // the store is away: it is asked again, from where we are
			}
			if m == nil {
				h, err := s.server.config.Host.History(ctx, r.id)
				if err != nil {
					return err
				}
				m = makerOf(h)
			}
			frames, err := m.frames(e)
			if err != nil {
				return err
			}
			r.add(frames, s.share())
			if e.Fact != nil {
				last = e.Fact.Seq
				if _, ended := e.Fact.Body.(*run.Finished); ended {
					return errOver
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reelTroubles):
		}
	}
}

// maker folds the events of a run and makes frames of them.
type maker struct {
	wire.Frames
	past run.Seq
}

// makerOf begins to make the frames of a run.
func makerOf(h *travel.History) *maker {
	m := &maker{Frames: wire.Frames{ID: h.ID, Folder: runs.Fold(h.Plan).Named(h.ID)}}
	if slices.Contains(h.Facts[0].Body.(*run.Started).Options.Tags, wire.Orchestrated) {
		m.Family = "agent:orchestration"
	}
	return m
}

func (m *maker) frames(e runs.Event) ([]frame, error) {
	if e.Fact == nil {
		data, err := m.Progress(e.Progress)
		return []frame{{past: m.past, name: m.Name("step:progress"), soft: true, data: data}}, err
	}
	notes := m.Folder.Add(*e.Fact)
	m.past = e.Fact.Seq
	data, err := m.Fact(*e.Fact)
	if err != nil {
		return nil, err
	}
	frames := []frame{{seq: m.past, past: m.past, name: m.Name(wire.EventName(e.Fact.Body)), data: data}}
	for i := range notes {
		data, err := m.Note(&notes[i], e.Fact.At)
		if err != nil {
			return nil, err
		}
		frames = append(frames, frame{past: m.past, name: m.Name("note"), data: data})
	}
	return frames, nil
}

func (r *reel) add(frames []frame, share int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range frames {
		r.bytes += len(f.data)
	}
	r.frames = append(r.frames, frames...)
	drop := 0
	for r.bytes > share && drop < len(r.frames)-1 {
		r.bytes -= len(r.frames[drop].data)
		r.cut = max(r.cut, r.frames[drop].seq)
		r.frames[drop].data = nil
		drop++
	}
	r.frames, r.base = r.frames[drop:], r.base+drop
	r.wake()
}

// wake tells all watchers that there is news. The caller holds the lock.
func (r *reel) wake() {
	close(r.grown)
	r.grown = make(chan struct{})
}

// find gives the place behind a seq, and the place where what is there already ends. ok is false when facts after it are gone.
func (r *reel) find(after run.Seq) (place, now int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now = r.base + len(r.frames)
	if after < r.cut {
		return 0, now, false
	}
	i, _ := slices.BinarySearchFunc(r.frames, after, func(f frame, seq run.Seq) int {
		if f.past < seq {
			return -1
		}
		return 1
	})
	return r.base + i, now, true
}

// next gives what stands at a place and behind it, up to most frames; without any, a channel that closes when there is more.
func (r *reel) next(place, most int) (frames []frame, grown <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch i := place - r.base; {
	case i < 0:
		return nil, nil, errSlow
	case i < len(r.frames):
		return slices.Clone(r.frames[i:min(len(r.frames), i+most)]), nil, nil
	case r.over != nil:
		return nil, nil, r.over
	}
	return nil, r.grown, nil
}

// watch shows a run of the caller from behind a seq until it is over: history first, then what comes, each fact once. It returns nil behind the last fact, errSlow
// when the watcher cannot keep up, and what show returns. shown is the seq to go on from.
func (s *Server) watch(ctx context.Context, id run.ID, after run.Seq, show func(frame) error) (shown run.Seq, err error) {
	shown = after
	pass := func(f frame) error {
		if f.seq > 0 && f.seq <= shown || f.past < after || f.seq == 0 && f.past < shown {
			return nil
		}
		if err := show(f); err != nil {
			return err
		}
		shown = max(shown, f.seq)
		return nil
	}
	r := s.reels.join(id)
	defer s.reels.leave(r)
	place, now, ok := r.find(after)
	for !ok {
		if err := s.catchUp(ctx, id, pass); err != nil {
			return shown, err
		}
		place, now, ok = r.find(shown)
	}
	for {
		frames, grown, err := r.next(place, 64)
		switch {
		case errors.Is(err, errOver):
			return shown, nil
		case err != nil:
			return shown, err
		case grown != nil:
			select {
			case <-grown:
			case <-ctx.Done():
				return shown, context.Cause(ctx)
			}
			continue
		}
		for _, f := range frames {
			if place++; f.soft && place <= now {
				continue // it was shown to others while it was news
			}
			if err := pass(f); err != nil {
				return shown, err
			}
		}
	}
}

// catchUp shows what the store has of a run. Few do so at a time, since each folds the run for itself.
func (s *Server) catchUp(ctx context.Context, id run.ID, pass func(frame) error) error {
	select {
	case s.reels.behind <- struct{}{}:
		defer func() { <-s.reels.behind }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	h, err := s.config.Host.History(ctx, id)
	if err != nil {
		return err
	}
	m := makerOf(h)
	for i := range h.Facts {
		frames, err := m.frames(runs.Event{Fact: &h.Facts[i]})
		if err != nil {
			return err
		}
		for _, f := range frames {
			if err := pass(f); err != nil {
				return err
			}
		}
	}
	return nil
}
