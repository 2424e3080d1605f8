package song

import (
	"math"
	"strconv"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// pick and its kin choose patterns of a list by number, or of an object by name.

func pickMethods() map[string]method {
	all := map[string]method{
		"pick":        choosing(false, (*pat).Inner),
		"pickOut":     choosing(false, (*pat).Outer),
		"pickmodOut":  choosing(true, (*pat).Outer),
		"pickRestart": choosing(false, (*pat).Restart), "pickmodRestart": choosing(true, (*pat).Restart),
		"pickReset": choosing(false, (*pat).Reset), "pickmodReset": choosing(true, (*pat).Reset),
		"inhabit": choosing(false, (*pat).Squeeze), "inhabitmod": choosing(true, (*pat).Squeeze),
		"pickF": {2, 2, func(c *call, p *pat) any {
			fs, ok := c.args[1].([]any)
			if !ok || len(fs) == 0 {
				pattern.Fail("pickF takes a list of functions, as in pickF(\"<0 1>\", [rev, fast(2)])")
			}
			changed := make([]any, len(fs))
			for i := range fs {
				changed[i] = (&call{e: c.e, name: c.name, args: fs}).function(i)(p)
			}
			return chosen(c, c.pattern(0), changed, false).Inner()
		}},
		"arp": {1, 1, func(c *call, p *pat) any {
			return arp(p, c.pattern(0))
		}},
		"arpWith": {1, 1, arpWith},
	}
	all["pickSqueeze"], all["pickmodSqueeze"] = all["inhabit"], all["inhabitmod"]
	return all
}

// choosing reads the choices; join says how the chosen ones play.
func choosing(wrap bool, join func(*pat) *pat) method {
	return method{1, 1, func(c *call, p *pat) any {
		switch c.args[0].(type) {
		case []any, object:
			return join(chosen(c, p, c.args[0], wrap))
		}
		pattern.Fail("%s takes a list or an object of patterns, as in %s([\"c e\", \"g\"])", c.name, c.name)
		return nil
	}}
}

func chosen(c *call, p *pat, choices any, wrap bool) *pat {
	made := func(v any) any {
		switch v := v.(type) {
		case *pat:
			return v
		case []any:
			return c.sequence(v, 0)
		}
		return c.e.argument([]any{v}, 0, c.name)
	}
	if o, ok := choices.(object); ok {
		named := map[string]any{}
		for k, v := range o {
			named[k] = made(v)
		}
		return p.Map(func(v any) any {
			key, ok := v.(string)
			if !ok {
				key = strconv.FormatFloat(pattern.Number(v), 'g', -1, 64)
			}
			q, ok := named[key]
			if !ok {
				pattern.Fail("%s has no choice named %q", c.name, key)
			}
			return q
		})
	}
	list := choices.([]any)
	if len(list) == 0 {
		pattern.Fail("%s has nothing to choose from", c.name)
	}
	all := make([]any, len(list))
	for i, v := range list {
		all[i] = made(v)
	}
	return p.Map(func(v any) any {
		i := int(max(-1e6, min(1e6, math.Floor(pattern.Number(v)+0.5))))
		if wrap {
			i = ((i % len(all)) + len(all)) % len(all)
		}
		return all[max(0, min(len(all)-1, i))]
	})
}

// chords gives, for each chord, the list of the sounds in it.
func chords(p *pat, f func(chord []any) *pat) *pat {
	return p.Collect(func(together []pattern.Hap) []pattern.Hap {
		all := make([]any, len(together))
		for i, h := range together {
			all[i] = h.Value
		}
		h := together[0]
		h.Value = f(all)
		return []pattern.Hap{h}
	}).Inner()
}

// arp plays the notes of a chord by their numbers.
func arp(p, index *pat) *pat {
	return chords(p, func(chord []any) *pat {
		return index.Map(func(v any) any {
			i := int(pattern.Whole(v)) % len(chord)
			return chord[(i+len(chord))%len(chord)]
		})
	})
}

// arpWith plays what a function makes of each chord.
func arpWith(c *call, p *pat) any {
	f, ok := c.args[0].(*function)
	if !ok {
		pattern.Fail("arpWith takes a function, as in haps => haps[2]")
	}
	return chords(p, func(chord []any) *pat {
		all := make([]any, len(chord))
		for i, v := range chord {
			all[i] = pattern.Pure(v)
		}
		return c.sequence(f.call([]any{all}), 0)
	})
}
