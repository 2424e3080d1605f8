package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// EncodingVersion is the "v" of an encoded fact. A reader refuses a higher one.
const EncodingVersion = 1

// MaxFactBytes bounds an encoded fact: larger values go to the blob store, so nothing honest comes near.
const MaxFactBytes = 64 << 20

// header is what every encoded fact begins with; the fields of its body follow in the same object.
type header struct {
	Version int       `json:"v"`
	Seq     Seq       `json:"seq"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
}

// EncodeFact writes {"v":1,"seq":3,"at":"2026-…","kind":"call_done",…}. Values are written as EncodeValue writes them.
func EncodeFact(f Fact) ([]byte, error) {
	b, err := AppendFact(make([]byte, 0, usualFact), f)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// usualFact has room for the beginning or the end of a call with a short result.
const usualFact = 320

// AppendFact is EncodeFact into a buffer, which stays as it was when there is an error.
func AppendFact(b []byte, f Fact) ([]byte, error) {
	if f.Body == nil {
		return b, fmt.Errorf("encode fact %d: it has no body", f.Seq)
	}
	out, err := appendHeader(b, f)
	if err == nil {
		out, err = appendBody(out, f.Body)
	}
	if err != nil {
		return b, fmt.Errorf("encode fact %d (%s): %w", f.Seq, f.Kind(), err)
	}
	return out, nil
}

// appendBody puts the fields of a body into the object that the header has begun, and ends it. The beginning and the end of a call are nearly all there is in a
// log, so these are written by hand, to the same bytes.
func appendBody(b []byte, body Body) ([]byte, error) {
	switch body := body.(type) {
	case *CallStarted:
		return body.appendFields(b), nil
	case *CallDone:
		return body.appendFields(b)
	}
	raw, err := encodeBody(body)
	if err != nil {
		return b, err
	}
	if len(raw) > len("{}") {
		b = append(b, ',')
	}
	return append(b, raw[1:]...), nil
}

// DecodeFact reads what EncodeFact wrote. It refuses facts of a later encoding, of an unknown kind and over MaxFactBytes; it never panics.
func DecodeFact(data []byte) (Fact, error) {
	if len(data) > MaxFactBytes {
		return Fact{}, fmt.Errorf("decode fact: %d bytes are more than the limit of %d", len(data), MaxFactBytes)
	}
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		return Fact{}, fmt.Errorf("decode fact: %w", err)
	}
	if h.Version < 1 || h.Version > EncodingVersion {
		return Fact{}, fmt.Errorf("decode fact: encoding version %d is not known here (up to %d is)", h.Version, EncodingVersion)
	}
	body, err := decodeBody(h.Kind, data)
	if err != nil {
		return Fact{}, fmt.Errorf("decode fact %d (%s): %w", h.Seq, h.Kind, err)
	}
	return Fact{Seq: h.Seq, At: h.At.UTC(), Body: body}, nil
}

// startedWire is Started with its inputs still encoded.
type startedWire struct {
	Plan    string                     `json:"plan"`
	Inputs  map[string]json.RawMessage `json:"inputs,omitempty"`
	Options Options                    `json:"options,omitzero"`
	Seed    uint64                     `json:"seed"`
	Machine int                        `json:"machine"`
	Fork    *Fork                      `json:"fork,omitempty"`
}

func encodeBody(b Body) ([]byte, error) {
	var raw json.RawMessage
	var err error
	switch b := b.(type) {
	case *Started:
		w := startedWire{Plan: b.Plan, Options: b.Options, Seed: b.Seed, Machine: b.Machine, Fork: b.Fork}
		if b.Inputs != nil {
			w.Inputs = make(map[string]json.RawMessage, len(b.Inputs))
		}
		for name, v := range b.Inputs {
			if w.Inputs[name], err = EncodeValue(v); err != nil {
				return nil, fmt.Errorf("input %s: %w", name, err)
			}
		}
		return json.Marshal(w)
	case *CallFailed:
		c := *b
		if b.Answer != nil {
			if raw, err = EncodeValue(b.Answer); err != nil {
				return nil, err
			}
			c.Answer = raw
		}
		return json.Marshal(c)
	case *Answered:
		if raw, err = EncodeValue(b.Value); err != nil {
			return nil, err
		}
		c := *b
		c.Value = raw
		return json.Marshal(c)
	case *Computed:
		c := *b
		if b.Value != nil {
			if raw, err = EncodeValue(b.Value); err != nil {
				return nil, err
			}
			c.Value = raw
		}
		return json.Marshal(c)
	case *Finished:
		c := *b
		if b.Value != nil {
			if raw, err = EncodeValue(b.Value); err != nil {
				return nil, err
			}
			c.Value = raw
		}
		return json.Marshal(c)
	default:
		return json.Marshal(b)
	}
}

func decodeBody(kind string, data []byte) (Body, error) {
	// A json.RawMessage waits in every field of type any, so that its value is read by DecodeValue and not as a float64.
	var raw json.RawMessage
	value := func() (any, error) {
		if len(raw) == 0 {
			return nil, nil
		}
		return DecodeValue(raw)
	}
	var err error
	switch kind {
	case "started":
		var w startedWire
		if err = json.Unmarshal(data, &w); err != nil {
			return nil, err
		}
		b := &Started{Plan: w.Plan, Options: w.Options, Seed: w.Seed, Machine: w.Machine, Fork: w.Fork}
		if w.Inputs != nil {
			b.Inputs = make(map[string]any, len(w.Inputs))
		}
		for name, in := range w.Inputs {
			if b.Inputs[name], err = DecodeValue(in); err != nil {
				return nil, fmt.Errorf("input %s: %w", name, err)
			}
		}
		return b, nil
	case "call_done":
		b := &CallDone{Value: &raw}
		if err = json.Unmarshal(data, b); err == nil {
			b.Value, err = value()
		}
		return b, err
	case "call_failed":
		b := &CallFailed{Answer: &raw}
		if err = json.Unmarshal(data, b); err == nil {
			b.Answer, err = value()
		}
		return b, err
	case "answered":
		b := &Answered{Value: &raw}
		if err = json.Unmarshal(data, b); err == nil {
			b.Value, err = value()
		}
		return b, err
	case "computed":
		b := &Computed{Value: &raw}
		if err = json.Unmarshal(data, b); err == nil {
			b.Value, err = value()
		}
		return b, err
	case "finished":
		b := &Finished{Value: &raw}
		if err = json.Unmarshal(data, b); err == nil {
			b.Value, err = value()
		}
		return b, err
	case "call_started":
		return plain(data, &CallStarted{})
	case "call_ended":
		return plain(data, &CallEnded{})
	case "asked":
		return plain(data, &Asked{})
	case "timer_fired":
		return plain(data, &TimerFired{})
	case "pause_asked":
		return plain(data, &PauseAsked{})
	case "resume_asked":
		return plain(data, &ResumeAsked{})
	case "cancel_asked":
		return plain(data, &CancelAsked{})
	}
	return nil, fmt.Errorf("unknown kind %q", bytes.ToValidUTF8([]byte(kind), []byte("?")))
}

func plain[B Body](data []byte, b B) (Body, error) {
	return b, json.Unmarshal(data, b)
}
