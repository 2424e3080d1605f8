package contexts

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

// State is shared state at one moment: values by path, some of which end. It is never changed; a change makes another that has all in common with it but
// the records and lists along the path. The zero value is empty.
type State struct {
	root  map[string]any
	ends  map[string]time.Time // by canonical path
	first time.Time            // the earliest of ends
	bytes int
}

// Verb says what a Change does.
type Verb string

// The verbs.
const (
	Set    Verb = "set"    // puts a value, in the place of what is there
	Merge  Verb = "merge"  // puts the fields of a record into the record that is there, and so on inside; all else is replaced
	Append Verb = "append" // puts an item behind the last of a list
	Add    Verb = "add"    // adds a number to the one that is there, or to 0
	Delete Verb = "delete" // takes a value away; in a list the later items move up
)

// Change is one change of a state.
type Change struct {
	Verb  Verb
	Path  string
	Value any
	TTL   time.Duration // how long the value at Path lasts; 0: Set makes it last, the others leave it as it is
}

// Get gives the value at path; ok is false when there is none. The value must not be changed.
func (s State) Get(path string) (value any, ok bool, err error) {
	keys, err := parse(path)
	if err != nil {
		return nil, false, err
	}
	value, ok = find(s.root, keys)
	return value, ok, nil
}

// List gives what is below a path ("" is all): the names of a record in order, or the indexes of a list as `[0]`. Of anything else, or nothing, it is empty.
func (s State) List(path string) ([]string, error) {
	var v any = s.root
	if path != "" {
		keys, err := parse(path)
		if err != nil {
			return nil, err
		}
		v, _ = find(s.root, keys)
	}
	switch v := v.(type) {
	case map[string]any:
		return slices.Sorted(maps.Keys(v)), nil
	case []any:
		names := make([]string, len(v))
		for i := range v {
			names[i] = key{index: i}.String()
		}
		return names, nil
	}
	return nil, nil
}

// Empty reports whether there is nothing.
func (s State) Empty() bool { return len(s.root) == 0 }

// Bytes estimates what the state takes.
func (s State) Bytes() int { return s.bytes }

// At is the state without what has come to its end.
func (s State) At(now time.Time) State {
	if s.first.IsZero() || now.Before(s.first) {
		return s
	}
	var over [][]key
	for path, end := range s.ends {
		if !now.Before(end) {
			over = append(over, keysOf(path))
		}
	}
	// The later items of a list first, since removing one moves the others up; what is inside before what is around it.
	slices.SortFunc(over, func(a, b []key) int { return slices.CompareFunc(b, a, compare) })
	d := draft{State: s}
	for _, keys := range over {
		d.remove(keys)
	}
	return d.done()
}

// Apply makes a change at a time. The value is what Append and Add come to: the length of the list, the sum. On an error nothing has changed.
func (s State) Apply(c Change, now time.Time) (State, any, error) {
	keys, err := parse(c.Path)
	if err != nil {
		return s, nil, err
	}
	if c.TTL < 0 {
		return s, nil, errors.New("a ttl is not below 0")
	}
	d := draft{State: s.At(now)}
	var value any
	switch c.Verb {
	case Set:
		err = d.put(keys, c.Value)
	case Merge:
		fields, ok := c.Value.(map[string]any)
		if !ok {
			return s, nil, fmt.Errorf("path `%s`: a record can be merged, not %s", c.Path, kindOf(c.Value))
		}
		err = d.merge(keys, fields)
	case Append:
		value, err = d.append(keys, c.Value)
	case Add:
		value, err = d.add(keys, c.Value)
	case Delete:
		d.remove(keys)
		return d.done(), nil, nil
	default:
		err = fmt.Errorf("%q changes nothing", string(c.Verb))
	}
	if err == nil && c.TTL > 0 {
		err = d.end(keys, now.Add(c.TTL))
	}
	if err == nil && d.bytes > MaxBytes {
		err = fmt.Errorf("shared state holds at most %d MiB", MaxBytes>>20)
	}
	if err != nil {
		return s, nil, fmt.Errorf("path `%s`: %w", c.Path, err)
	}
	return d.done(), value, nil
}

// draft is a state being made.
type draft struct {
	State
	own bool // ends is not another state's
}

func (d *draft) done() State {
	if !d.own {
		return d.State
	}
	d.first = time.Time{}
	for _, end := range d.ends {
		if d.first.IsZero() || end.Before(d.first) {
			d.first = end
		}
	}
	return d.State
}

func (d *draft) put(keys []key, value any) error {
	if _, err := weigh(value, MaxDepth-len(keys)+1); err != nil {
		return err
	}
	root, grown, err := put(d.record(), d.root != nil, keys, value)
	if err != nil {
		return err
	}
	d.root = root.(map[string]any)
	d.bytes += grown
	d.forget(canonical(keys))
	return nil
}

// record is the root as a value: nil when there is none, so that put makes it.
func (d *draft) record() any {
	if d.root == nil {
		return nil
	}
	return d.root
}

func (d *draft) merge(keys []key, fields map[string]any) error {
	old, _ := find(d.root, keys)
	if _, ok := old.(map[string]any); !ok {
		if old != nil {
			return fmt.Errorf("a record is merged into a record, there is %s", kindOf(old))
		}
		return d.put(keys, fields)
	}
	if len(keys) > MaxDepth {
		return fmt.Errorf("it is nested deeper than %d levels", MaxDepth)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		below := append(slices.Clone(keys), key{name: name, named: true})
		was, _ := find(d.root, below)
		_, into := was.(map[string]any)
		inner, from := fields[name].(map[string]any)
		var err error
		if into && from {
			err = d.merge(below, inner)
		} else {
			err = d.put(below, fields[name])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) append(keys []key, item any) (any, error) {
	old, _ := find(d.root, keys)
	list, ok := old.([]any)
	switch {
	case !ok && old != nil:
		return nil, fmt.Errorf("an item is put behind a list, there is %s", kindOf(old))
	case len(list) >= MaxItems:
		return nil, fmt.Errorf("a list has at most %d items", MaxItems)
	case list == nil:
		if err := d.put(keys, []any{}); err != nil {
			return nil, err
		}
	}
	if err := d.put(append(slices.Clone(keys), key{index: len(list)}), item); err != nil {
		return nil, err
	}
	return len(list) + 1, nil
}

func (d *draft) add(keys []key, by any) (any, error) {
	old, _ := find(d.root, keys)
	if old == nil {
		old = 0
	}
	sum, err := plus(old, by)
	if err != nil {
		return nil, err
	}
	root, grown, err := put(d.record(), d.root != nil, keys, sum)
	if err != nil {
		return nil, err
	}
	d.root = root.(map[string]any)
	d.bytes += grown
	return sum, nil
}

func plus(a, b any) (any, error) {
	i, iok := a.(int)
	j, jok := b.(int)
	if iok && jok {
		if sum := i + j; (sum > i) == (j > 0) {
			return sum, nil
		}
		return nil, errors.New("the sum is too large")
	}
	number := func(v any) (float64, error) {
		switch v := v.(type) {
		case int:
			return float64(v), nil
		case float64:
			return v, nil
		}
		return 0, fmt.Errorf("numbers are added, not %s", kindOf(v))
	}
	x, err := number(a)
	if err != nil {
		return nil, err
	}
	y, err := number(b)
	if err != nil {
		return nil, err
	}
	if sum := x + y; !math.IsInf(sum, 0) && !math.IsNaN(sum) {
		return sum, nil
	}
	return nil, errors.New("the sum is too large")
}

func (d *draft) remove(keys []key) {
	if _, had := find(d.root, keys); !had {
		return
	}
	root, gone := cut(d.root, keys)
	d.root, _ = root.(map[string]any)
	d.bytes -= gone
	if len(d.root) == 0 {
		d.root, d.bytes = nil, 0
	}
	d.forget(canonical(keys))
	if last := keys[len(keys)-1]; !last.named {
		d.moveUp(canonical(keys[:len(keys)-1]), last.index)
	}
}

// forget drops the ends of the value at path and of all below it.
func (d *draft) forget(path string) {
	for p := range d.ends {
		if below(p, path) {
			d.owned()
			delete(d.ends, p)
		}
	}
}

// moveUp gives the ends of the items behind one that is gone their new places.
func (d *draft) moveUp(list string, gone int) {
	depth := len(keysOf(list))
	moved := map[string]time.Time{}
	for p, end := range d.ends {
		if p == list || !below(p, list) {
			continue
		}
		keys := keysOf(p)
		if k := &keys[depth]; !k.named && k.index > gone {
			d.owned()
			delete(d.ends, p)
			k.index--
			moved[canonical(keys)] = end
		}
	}
	maps.Copy(d.ends, moved)
}

func (d *draft) end(keys []key, at time.Time) error {
	d.owned()
	d.ends[canonical(keys)] = at
	if len(d.ends) > MaxEnds {
		return fmt.Errorf("at most %d values of shared state have a ttl", MaxEnds)
	}
	return nil
}

func (d *draft) owned() {
	if d.own {
		return
	}
	d.own = true
	if d.ends = maps.Clone(d.ends); d.ends == nil {
		d.ends = map[string]time.Time{}
	}
}

// encoded is how a state is kept.
type encoded struct {
	Root json.RawMessage      `json:"root"`
	Ends map[string]time.Time `json:"ends,omitempty"`
}

// Encode writes a state down.
func (s State) Encode() ([]byte, error) {
	root, err := run.EncodeValue(s.root)
	if err != nil {
		return nil, err
	}
	return json.Marshal(encoded{root, s.ends})
}

// Decode reads a state back. It trusts nothing: what is not within the bounds of a state is an error.
func Decode(data []byte) (State, error) {
	var e encoded
	if err := json.Unmarshal(data, &e); err != nil {
		return State{}, fmt.Errorf("read shared state: %w", err)
	}
	v, err := run.DecodeValue(e.Root)
	if err != nil {
		return State{}, fmt.Errorf("read shared state: %w", err)
	}
	root, ok := v.(map[string]any)
	if !ok && v != nil {
		return State{}, fmt.Errorf("read shared state: it is %s", kindOf(v))
	}
	bytes, err := weigh(root, MaxDepth+1)
	if err == nil && len(e.Ends) > MaxEnds {
		err = fmt.Errorf("at most %d values have a ttl", MaxEnds)
	}
	for path := range e.Ends {
		if err == nil && !isCanonical(path) {
			err = fmt.Errorf("%s is no path", strconv.Quote(path))
		}
	}
	if err != nil {
		return State{}, fmt.Errorf("read shared state: %w", err)
	}
	if len(root) == 0 {
		root, bytes = nil, 0
	}
	d := draft{State: State{root: root, ends: e.Ends, bytes: bytes}, own: true}
	return d.done(), nil
}
