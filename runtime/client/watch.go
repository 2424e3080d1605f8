package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/wire"
)

// Watch implements runs.Runs. A stream that breaks goes on where it was, also at another server that took the place of the first.
func (c *Client) Watch(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[runs.Event, error] {
	return func(yield func(runs.Event, error) bool) {
		for frame, err := range c.Frames(ctx, id, after) {
			if err != nil {
				yield(runs.Event{}, err)
				return
			}
			e, ok, err := wire.Read(frame)
			if err != nil {
				yield(runs.Event{}, err)
				return
			}
			if ok && !yield(e, nil) {
				return
			}
		}
	}
}

// Frames yields the frames of a run after a seq as the server sends them, each fact once, until the run is finished. A frame is valid until the next one.
func (c *Client) Frames(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := &stream{client: c, ctx: ctx, id: id, last: after}
		pause := firstPause
		for {
			before := s.last
			err := s.read(func(frame []byte) bool { return yield(frame, nil) })
			switch {
			case s.ended || s.left:
				return
			case ctx.Err() != nil:
				yield(nil, ctx.Err())
				return
			case err != nil && !passing(err):
				yield(nil, err)
				return
			}
			if s.last > before {
				pause = firstPause
			}
			if err := rest(ctx, &pause, err); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// stream is the events of one run over as many connections as it takes.
type stream struct {
	client *Client
	ctx    context.Context
	id     run.ID
	last   run.Seq // of the newest fact that was shown
	ended  bool    // the run is
	left   bool    // nobody wants more
}

// read reads one connection to its end.
func (s *stream) read(show func([]byte) bool) error {
	h := http.Header{"Accept": {"text/event-stream"}}
	if s.last > 0 {
		h.Set("Last-Event-ID", strconv.FormatUint(uint64(s.last), 10))
	}
	answer, err := s.client.send(s.ctx, http.MethodGet, runPath(s.id, "/events"), nil, h)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNoContent {
		s.ended = true
		return nil
	}
	lines := bufio.NewReaderSize(answer.Body, 64<<10)
	for {
		line, err := readLine(lines)
		if errors.Is(err, errTooLong) {
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: the stream broke off: %w", runs.ErrUnavailable, err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		if err := s.take(data, show); err != nil || s.ended || s.left {
			return err
		}
	}
}

func (s *stream) take(data []byte, show func([]byte) bool) error {
	var head struct {
		Event string          `json:"event"`
		Kind  string          `json:"kind"`
		Seq   run.Seq         `json:"seq"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("a frame of %s is not as it should be: %w", s.client.Server(), err)
	}
	if head.Event == "agent:error" {
		p := &Problem{}
		if err := json.Unmarshal(head.Error, p); err != nil || p.Code == "" {
			return fmt.Errorf("%w: the stream ended", runs.ErrUnavailable)
		}
		return p
	}
	if head.Seq > 0 {
		if head.Seq <= s.last {
			return nil
		}
		if head.Seq != s.last+1 {
			return fmt.Errorf("%s left out facts: %d follows %d", s.client.Server(), head.Seq, s.last)
		}
		s.last = head.Seq
	}
	s.left = !show(data)
	s.ended = head.Kind == "finished"
	return nil
}

var errTooLong = errors.New("a frame is too long")

// readLine reads a line of any length up to maxLine, without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxLine:
			return nil, errTooLong
		}
	}
}
