// Package contexts is the shared state of a run: values under nested paths such as `a.b[0].c`, some with an end to their life.
//
// Values are never changed in place: a write copies the records and lists along its path. What a reader got stays what it was, and writers of different
// paths never undo each other.
package contexts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/types"
)

// The bounds of a space. They keep a runaway script from eating the process.
const (
	MaxPath  = 1024     // bytes of a path
	MaxDepth = 32       // names and indexes in a path, and levels of a value
	MaxItems = 100_000  // of a list
	MaxBytes = 16 << 20 // of all values together, estimated
)

// Space is the shared state of one run. The zero value is empty and ready.
type Space struct {
	mu    sync.Mutex
	root  map[string]any
	ends  map[string]time.Time // by canonical path
	bytes int
}

// Get gives the value at path; ok is false when there is none. The value must not be changed.
func (s *Space) Get(ctx context.Context, path string) (value any, ok bool, err error) {
	keys, err := parse(path)
	if err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	value, ok = find(s.root, keys)
	return value, ok, nil
}

// Set puts value at path and makes the records and lists on the way. An index may be at most one past the end of its list. ttl 0 lasts as long as the
// run. What stands in the way (a name below a text, an index below a record) is an error and nothing changes.
func (s *Space) Set(ctx context.Context, path string, value any, ttl time.Duration) error {
	keys, err := parse(path)
	if err != nil {
		return err
	}
	if ttl < 0 {
		return fmt.Errorf("a ttl is not below 0")
	}
	size, err := weigh(value, MaxDepth-len(keys)+1)
	if err != nil {
		return fmt.Errorf("value at `%s`: %w", path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	grown := size
	if old, had := find(s.root, keys); had {
		oldSize, _ := weigh(old, MaxDepth)
		grown -= oldSize
	} else {
		for _, k := range keys {
			grown += len(k.name) + 16
		}
	}
	if s.bytes+grown > MaxBytes {
		return fmt.Errorf("value at `%s`: the shared state of a run holds at most %d MiB", path, MaxBytes>>20)
	}
	root, err := put(s.root, keys, value)
	if err != nil {
		return fmt.Errorf("path `%s`: %w", path, err)
	}
	s.root, _ = root.(map[string]any)
	s.bytes += grown
	name := canonical(keys)
	s.forget(name)
	if ttl > 0 {
		if s.ends == nil {
			s.ends = map[string]time.Time{}
		}
		s.ends[name] = time.Now().Add(ttl)
	}
	return nil
}

// Delete takes the value at path away; in a list the later items move up. Deleting what is not there is no error.
func (s *Space) Delete(ctx context.Context, path string) error {
	keys, err := parse(path)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	s.remove(keys)
	return nil
}

func (s *Space) remove(keys []key) {
	old, had := find(s.root, keys)
	if !had {
		return
	}
	size, _ := weigh(old, MaxDepth)
	s.bytes = max(0, s.bytes-size)
	root := cut(s.root, keys)
	s.root, _ = root.(map[string]any)
	s.forget(canonical(keys))
}

// forget drops the ends of the value at path and of all below it.
func (s *Space) forget(path string) {
	for p := range s.ends {
		if below(p, path) {
			delete(s.ends, p)
		}
	}
}

// expire removes what has come to its end. Every access does it first, so no goroutine has to.
func (s *Space) expire() {
	if len(s.ends) == 0 {
		return
	}
	now := time.Now()
	var over []string
	for path, end := range s.ends {
		if !now.Before(end) {
			over = append(over, path)
		}
	}
	slices.Sort(over)
	for _, path := range slices.Backward(over) { // later items of a list first: removing one moves the others up
		keys := keysOf(path)
		s.remove(keys)
		delete(s.ends, path)
	}
}

func find(v any, keys []key) (any, bool) {
	for _, k := range keys {
		switch holder := v.(type) {
		case map[string]any:
			field, ok := holder[k.name]
			if !ok || k.name == "" {
				return nil, false
			}
			v = field
		case []any:
			if k.name != "" || k.index >= len(holder) {
				return nil, false
			}
			v = holder[k.index]
		default:
			return nil, false
		}
	}
	return v, true
}

// put returns v with value at keys, copying what it changes.
func put(v any, keys []key, value any) (any, error) {
	if len(keys) == 0 {
		return value, nil
	}
	k := keys[0]
	if k.name != "" {
		record, ok := v.(map[string]any)
		if !ok && v != nil {
			return nil, fmt.Errorf("`%s` needs a record, there is %s", k, kindOf(v))
		}
		field, err := put(record[k.name], keys[1:], value)
		if err != nil {
			return nil, err
		}
		record = maps.Clone(record)
		if record == nil {
			record = map[string]any{}
		}
		record[k.name] = field
		return record, nil
	}
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, fmt.Errorf("`%s` needs a list, there is %s", k, kindOf(v))
	}
	if k.index > len(list) {
		return nil, fmt.Errorf("`%s` is past the end: the list has %d items", k, len(list))
	}
	var item any
	if k.index < len(list) {
		item = list[k.index]
	}
	item, err := put(item, keys[1:], value)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	if k.index == len(list) {
		return append(list, item), nil
	}
	list[k.index] = item
	return list, nil
}

// cut returns v without the value at keys, which exists.
func cut(v any, keys []key) any {
	k := keys[0]
	switch holder := v.(type) {
	case map[string]any:
		holder = maps.Clone(holder)
		if len(keys) == 1 {
			delete(holder, k.name)
		} else {
			holder[k.name] = cut(holder[k.name], keys[1:])
		}
		return holder
	case []any:
		holder = slices.Clone(holder)
		if len(keys) == 1 {
			return slices.Delete(holder, k.index, k.index+1)
		}
		holder[k.index] = cut(holder[k.index], keys[1:])
		return holder
	}
	return v
}

// weigh estimates the bytes of a value and refuses what is too deep, too long, or not a value of the language.
func weigh(v any, depth int) (int, error) {
	if depth < 0 {
		return 0, fmt.Errorf("it is nested deeper than %d levels", MaxDepth)
	}
	switch v := v.(type) {
	case nil, bool, int, float64:
		return 16, nil
	case string:
		return 16 + len(v), nil
	case types.FileValue:
		return 64 + len(v.Name) + len(v.Data), nil
	case []any:
		if len(v) > MaxItems {
			return 0, fmt.Errorf("a list has at most %d items", MaxItems)
		}
		sum := 24
		for _, item := range v {
			n, err := weigh(item, depth-1)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	case map[string]any:
		sum := 48
		for name, field := range v {
			n, err := weigh(field, depth-1)
			if err != nil {
				return 0, err
			}
			sum += n + len(name)
		}
		return sum, nil
	case types.Secret, types.Parts:
		return 0, fmt.Errorf("a secret is not kept in the shared state")
	default:
		return 0, fmt.Errorf("%T is no value of the language", v)
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a record"
	default:
		return "something else"
	}
}
