package contexts

import (
	"fmt"
	"maps"
	"slices"

	"github.com/slopstudios/slop/lang/types"
)

// What values weigh beside their texts, about as Go keeps them.
const (
	scalarBytes = 16
	fileBytes   = 64
	largeBytes  = 96
	listBytes   = 24
	recordBytes = 48
)

const deepest = 2 * MaxDepth // of values that are in a state already

func find(v any, keys []key) (any, bool) {
	for _, k := range keys {
		switch holder := v.(type) {
		case map[string]any:
			field, ok := holder[k.name]
			if !ok || !k.named {
				return nil, false
			}
			v = field
		case []any:
			if k.named || k.index >= len(holder) {
				return nil, false
			}
			v = holder[k.index]
		default:
			return nil, false
		}
	}
	return v, true
}

// put returns v with value at keys, copying what it changes, and by how much its weight grew; there tells whether v is there at all. An index may be at
// most one past the end of its list.
func put(v any, there bool, keys []key, value any) (_ any, grown int, err error) {
	was := 0
	if there && (len(keys) == 0 || v == nil) {
		was, _ = weigh(v, deepest)
	}
	if len(keys) == 0 {
		is, _ := weigh(value, deepest)
		return value, is - was, nil
	}
	k := keys[0]
	if k.named {
		record, ok := v.(map[string]any)
		if !ok && v != nil {
			return nil, 0, fmt.Errorf("`%s` needs a record, there is %s", k, kindOf(v))
		}
		old, had := record[k.name]
		field, grown, err := put(old, had, keys[1:], value)
		if err != nil {
			return nil, 0, err
		}
		if !had {
			grown += len(k.name)
		}
		if record = maps.Clone(record); record == nil {
			record = map[string]any{}
			grown += recordBytes - was
		}
		record[k.name] = field
		return record, grown, nil
	}
	list, ok := v.([]any)
	switch {
	case !ok && v != nil:
		return nil, 0, fmt.Errorf("`%s` needs a list, there is %s", k, kindOf(v))
	case k.index > len(list):
		return nil, 0, fmt.Errorf("`%s` is past the end: the list has %d items", k, len(list))
	case !ok:
		grown = listBytes - was
	}
	var old any
	had := k.index < len(list)
	if had {
		old = list[k.index]
	}
	item, more, err := put(old, had, keys[1:], value)
	if err != nil {
		return nil, 0, err
	}
	list = slices.Clone(list)
	if !had {
		return append(list, item), grown + more, nil
	}
	list[k.index] = item
	return list, grown + more, nil
}

// cut returns v without the value at keys, which exists, and the weight that is gone.
func cut(v any, keys []key) (any, int) {
	k := keys[0]
	switch holder := v.(type) {
	case map[string]any:
		holder = maps.Clone(holder)
		if len(keys) == 1 {
			gone, _ := weigh(holder[k.name], deepest)
			delete(holder, k.name)
			return holder, gone + len(k.name)
		}
		field, gone := cut(holder[k.name], keys[1:])
		holder[k.name] = field
		return holder, gone
	case []any:
		holder = slices.Clone(holder)
		if len(keys) == 1 {
			gone, _ := weigh(holder[k.index], deepest)
			return slices.Delete(holder, k.index, k.index+1), gone
		}
		item, gone := cut(holder[k.index], keys[1:])
		holder[k.index] = item
		return holder, gone
	}
	return v, 0
}

// weigh estimates the bytes of a value and refuses what is too deep, too long, or not a value of the language.
func weigh(v any, depth int) (int, error) {
	if depth < 0 {
		return 0, fmt.Errorf("it is nested deeper than %d levels", MaxDepth)
	}
	switch v := v.(type) {
	case nil, bool, int, float64:
		return scalarBytes, nil
	case string:
		return scalarBytes + len(v), nil
	case types.FileValue:
		return fileBytes + len(v.Name) + len(v.Data), nil
	case types.Large:
		return largeBytes, nil
	case []any:
		if len(v) > MaxItems {
			return 0, fmt.Errorf("a list has at most %d items", MaxItems)
		}
		sum := listBytes
		for _, item := range v {
			n, err := weigh(item, depth-1)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	case map[string]any:
		sum := recordBytes
		for name, field := range v {
			n, err := weigh(field, depth-1)
			if err != nil {
				return 0, err
			}
			sum += n + len(name)
		}
		return sum, nil
	case types.Secret, types.Parts:
		return 0, fmt.Errorf("a secret is not kept in shared state")
	default:
		return 0, fmt.Errorf("%T is no value of the language", v)
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
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
