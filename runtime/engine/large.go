package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// DefaultInline is the size, in bytes, up to which a text or the bytes of a file stand in facts themselves. What is larger is kept apart, under its hash.
const DefaultInline = 64 << 10

// shelve puts the large texts and files of a value away, before the fact that names them, and gives the value with references in their place. What holds
// nothing large comes back as it is.
func (e *Engine) shelve(ctx context.Context, v any) (any, error) {
	return replaceLeaves(v, func(leaf any) (any, error) {
		switch x := leaf.(type) { // what stays is not boxed anew: most values are small, and each goes through here
		case string:
			if len(x) <= e.inline || !utf8.ValidString(x) {
				return leaf, nil
			}
			hash, err := e.store.PutBlob(ctx, []byte(x))
			return types.Large{SHA256: hash, Size: int64(len(x))}, err
		case types.FileValue:
			if len(x.Data) <= e.inline {
				return leaf, nil
			}
			hash, err := e.store.PutBlob(ctx, x.Data)
			x.SHA256, x.Size, x.Binary, x.Data = hash, int64(len(x.Data)), !utf8.Valid(x.Data), nil
			return x, err
		}
		return leaf, nil
	})
}

// fetch gives a value with everything that was put away back in its place.
func (e *Engine) fetch(ctx context.Context, v any) (any, error) {
	if !eval.HoldsLarge(v) {
		return v, nil
	}
	return replaceLeaves(v, func(leaf any) (any, error) {
		switch leaf := leaf.(type) {
		case types.Large:
			data, err := e.blob(ctx, leaf.SHA256)
			return string(data), err
		case types.FileValue:
			if leaf.Data != nil || leaf.SHA256 == "" {
				return leaf, nil
			}
			data, err := e.blob(ctx, leaf.SHA256)
			leaf.Data, leaf.Binary = data, false
			return leaf, err
		}
		return leaf, nil
	})
}

// blob reads bytes and makes sure that they are the ones that were put away.
func (e *Engine) blob(ctx context.Context, hash string) ([]byte, error) {
	data, err := e.store.GetBlob(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("read a large value: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("the large value %s was damaged where it is kept: %w", hash, store.ErrCorrupt)
	}
	return data, nil
}

// replaceLeaves copies records and lists only along the way to what changes.
func replaceLeaves(v any, leaf func(any) (any, error)) (any, error) {
	out, _, err := leaves(v, leaf)
	return out, err
}

func leaves(whole any, leaf func(any) (any, error)) (_ any, changed bool, err error) {
	switch v := whole.(type) {
	case []any:
		out, changed, err := listLeaves(v, leaf)
		return out, changed, err
	case types.Parts:
		out, changed, err := listLeaves(v, leaf)
		return types.Parts(out), changed, err
	case map[string]any:
		out := v
		for name, field := range v {
			n, other, err := leaves(field, leaf)
			if err != nil {
				return nil, false, err
			}
			if !other {
				continue
			}
			if !changed {
				changed = true
				out = make(map[string]any, len(v))
				for k, x := range v {
					out[k] = x
				}
			}
			out[name] = n
		}
		return out, changed, nil
	case string:
		n, err := leaf(whole)
		_, same := n.(string)
		return n, !same, err
	case types.Large:
		n, err := leaf(whole)
		_, same := n.(types.Large)
		return n, !same, err
	case types.FileValue:
		n, err := leaf(whole)
		file, _ := n.(types.FileValue)
		return n, (file.Data == nil) != (v.Data == nil), err
	}
	return whole, false, nil
}

func listLeaves(v []any, leaf func(any) (any, error)) (out []any, changed bool, err error) {
	out = v
	for i, item := range v {
		n, other, err := leaves(item, leaf)
		if err != nil {
			return nil, false, err
		}
		if other && !changed {
			changed = true
			out = append([]any(nil), v...)
		}
		if other {
			out[i] = n
		}
	}
	return out, changed, nil
}

// shelve is Engine.shelve, asked again until the store answers or the session ends: what was answered is not lost because a store rests.
func (s *session) shelve(v any) (any, error) {
	rest := firstRest
	for waits := 0; ; {
		out, err := s.engine.shelve(s.ctx, v)
		if err == nil || s.ctx.Err() != nil {
			return out, err
		}
		if waits == 0 {
			waits = weight(v, maxAnswer)
			s.engine.outages.add(0, waits)
			defer s.engine.outages.add(0, -waits)
		}
		if err := pauseLonger(s.ctx, &rest); err != nil {
			return nil, err
		}
	}
}

// fetch is Engine.fetch, asked again until the store answers, whatever it says, or ctx ends: a call that has begun does not fail because a store rests.
func (s *session) fetch(ctx context.Context, v any) (any, error) {
	rest := firstRest
	for {
		out, err := s.engine.fetch(ctx, v)
		if !unreachable(err) || ctx.Err() != nil {
			return out, err
		}
		if err := pauseLonger(ctx, &rest); err != nil {
			return nil, err
		}
	}
}

// chosen: an answer is one of a few words, and stays where it is.
func chosen(f *run.Form, answer any) bool {
	_, word := answer.(string)
	return word && (len(f.Choices) > 0 || f.Kind == run.ApproveForm)
}

// joined is a text as it is sent: with what was put away, and, as long as no secret stands in it, as a string.
func (s *session) joined(ctx context.Context, v any) (any, error) {
	v, err := s.fetch(ctx, v)
	parts, ok := v.(types.Parts)
	if err != nil || !ok {
		return v, err
	}
	return eval.RenderParts(parts), nil
}

// form is a question as it is shown, with the schema of its answer.
func (s *session) form(f run.Form) (run.Form, error) {
	f.Schema = f.AnswerSchema()
	f.Actions = s.hidden(f.Actions)
	if f.Large == nil {
		return f, nil
	}
	v, err := s.engine.fetch(s.ctx, f.Large)
	if err != nil {
		return f, err
	}
	if parts, ok := v.(types.Parts); ok {
		v = eval.RenderParts(parts)
	}
	f.Text, f.Large = "", nil
	if text, ok := v.(string); ok {
		f.Text = strings.ToValidUTF8(text, "�")
	}
	return f, nil
}

// hidden blacks out known secrets in what a question shows. The fingerprint is of what is sent all the same.
func (s *session) hidden(actions []run.Action) []run.Action {
	if s.redactor.table.Load() == nil || len(actions) == 0 {
		return actions
	}
	actions = slices.Clone(actions)
	for i := range actions {
		sent := slices.Clone(actions[i].Sent)
		for j := range sent {
			if text := s.redactor.text(string(sent[j].Value)); text != string(sent[j].Value) {
				sent[j].Value, sent[j].Unknown = json.RawMessage(text), true
			}
		}
		actions[i].Sent = sent
	}
	return actions
}

// compute evaluates an expression that looks into large values, on a worker.
func (s *session) compute(w *run.ComputeWish) {
	s.engine.workers.do(func() {
		fact := &run.Computed{Path: w.Path}
		value, err := s.evaluate(w)
		if err == nil {
			fact.Value, err = s.shelve(value)
		}
		if err != nil {
			if s.ctx.Err() != nil {
				return
			}
			fact.Error = clip(err.Error(), maxMessage)
		}
		s.post(letter{kind: bodyLetter, body: fact})
	})
}

func (s *session) evaluate(w *run.ComputeWish) (any, error) {
	fetched, err := s.fetch(s.ctx, w.Env)
	if err != nil {
		return nil, err
	}
	env := fetched.(map[string]any)
	if w.Render {
		return eval.Render(env["value"])
	}
	program, err := eval.Compile(w.Code)
	if err != nil {
		return nil, err
	}
	return program.Eval(env)
}
