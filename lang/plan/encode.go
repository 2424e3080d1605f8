package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxEncoded is the largest encoded plan Decode reads, in bytes. A plan takes about eight times the bytes of its script, which has a limit of its own.
const MaxEncoded = 256 << 20

// Encode writes p as canonical JSON: one line, fields in the order of the Go structs, nothing that depends on a map. The same plan gives the same bytes.
func Encode(p *Plan) []byte {
	b, err := p.append(make([]byte, 0, p.room()))
	if err != nil {
		panic(fmt.Sprintf("plan: encode: %v", err)) // only a value outside the language's (a NaN, a channel) can do this
	}
	return b
}

// Decode reads what Encode wrote and validates it, so that a damaged plan is an error here and not a panic later.
func Decode(data []byte) (*Plan, error) {
	if len(data) > MaxEncoded {
		return nil, fmt.Errorf("decode plan: %d bytes, the limit is %d", len(data), MaxEncoded)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if head.Version != Version {
		return nil, fmt.Errorf("decode plan: it has version %d, this release reads version %d", head.Version, Version)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields() // a field we do not know could change what the plan means
	p := new(Plan)
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode plan: there is more after its end")
	}
	if err := Validate(p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	return p, nil
}

// Hash names a plan by its content: SHA-256 of Encode in hex.
func Hash(p *Plan) string {
	sum := sha256.Sum256(Encode(p))
	return hex.EncodeToString(sum[:])
}

// armJSON is an Arm whose numbers keep their kind: an int is written 3, a float 3.0.
type armJSON struct {
	Values []json.RawMessage `json:"values"`
	Block  int               `json:"block"`
}

// MarshalJSON keeps ints and floats apart.
func (a Arm) MarshalJSON() ([]byte, error) {
	w := armJSON{Values: make([]json.RawMessage, len(a.Values)), Block: a.Block}
	for i, v := range a.Values {
		raw, err := Literal(v)
		if err != nil {
			return nil, err
		}
		w.Values[i] = raw
	}
	return marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Arm) UnmarshalJSON(data []byte) error {
	var r armJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return err
	}
	a.Values, a.Block = make([]any, len(r.Values)), r.Block
	for i, raw := range r.Values {
		v, err := scalar(raw)
		if err != nil {
			return err
		}
		a.Values[i] = v
	}
	return nil
}

// Literal writes a value of the language as JSON in which a float always has a point or an exponent, records have sorted keys and nothing is HTML-escaped.
// It is the form of defaults and of the literals of an arm.
func Literal(v any) (json.RawMessage, error) {
	var b strings.Builder
	if err := literal(&b, v, 0); err != nil {
		return nil, err
	}
	return json.RawMessage(b.String()), nil
}

const literalDepth = 1000 // far beyond what a default can be written with

func literal(b *strings.Builder, v any, depth int) error {
	if depth > literalDepth {
		return errors.New("a value is nested too deeply")
	}
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%v is no number of the language", v)
		}
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		b.WriteString(s)
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := literal(b, e, depth+1); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range sortedKeys(v) {
			if i > 0 {
				b.WriteByte(',')
			}
			key, err := marshal(k)
			if err != nil {
				return err
			}
			b.Write(key)
			b.WriteByte(':')
			if err := literal(b, v[k], depth+1); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case nil, bool, int, string:
		raw, err := marshal(v)
		if err != nil {
			return err
		}
		b.Write(raw)
	default:
		return fmt.Errorf("a %T is no constant", v)
	}
	return nil
}

// scalar reads a literal of an arm: string, int, float64 or bool.
func scalar(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string, bool:
		return v, nil
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return v.Float64()
		}
		n, err := strconv.Atoi(v.String())
		if err != nil {
			return nil, err
		}
		return n, nil
	default:
		return nil, fmt.Errorf("an arm compares with a text, a number, true or false, not with %s", raw)
	}
}

func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // plans are read by people too, and texts are full of <<
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
