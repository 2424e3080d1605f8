package pattern

import "slices"

// Controls are named values: what plays, and how. They never change; a list is shorter to copy than a map, and most have few names.
type Controls []Control

// Control is one of them.
type Control struct {
	Name  string
	Value any
}

// Get gives a value by its name.
func (c Controls) Get(name string) (any, bool) {
	for _, x := range c {
		if x.Name == name {
			return x.Value, true
		}
	}
	return nil, false
}

// With gives the controls with one more, or with another value of one.
func (c Controls) With(name string, v any) Controls {
	out := make(Controls, len(c), len(c)+1)
	copy(out, c)
	return out.put(name, v)
}

// put is With on controls that nobody else has.
func (c Controls) put(name string, v any) Controls {
	for i := range c {
		if c[i].Name == name {
			c[i].Value = v
			return c
		}
	}
	return append(c, Control{name, v})
}

// Without gives the controls without one.
func (c Controls) Without(name string) Controls {
	return slices.DeleteFunc(slices.Clone(c), func(x Control) bool { return x.Name == name })
}

// Map is the controls by their names.
func (c Controls) Map() map[string]any {
	out := make(map[string]any, len(c))
	for _, x := range c {
		out[x.Name] = x.Value
	}
	return out
}
