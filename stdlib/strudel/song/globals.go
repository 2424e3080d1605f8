package song

import (
	"math"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/vocab"
)

// constants are names that stand for a pattern, or for a number.
var constants = map[string]func() any{
	"silence": func() any { return pattern.Silence() },
	"nothing": func() any { return pattern.Silence() },
	"rand":    func() any { return pattern.Rand(seedRand) },
	"rand2":   func() any { return pattern.Rand(seedRand).Map(func(v any) any { return v.(float64)*2 - 1 }) },
	"perlin":  func() any { return pattern.Perlin(seedPerlin) },
	"brand":   func() any { return pattern.Rand(seedRand).Map(func(v any) any { return v.(float64) < 0.5 }) },
	"time":    func() any { return pattern.Signal(func(t time) any { return t.Float() }) },
	"true":    func() any { return true }, "false": func() any { return false },
	"undefined": func() any { return nil }, "null": func() any { return nil },
}

func init() {
	for name, wave := range pattern.Waves {
		constants[name] = func() any { return pattern.Signal(func(t time) any { return wave(t.Float()) }) }
		constants[name+"2"] = func() any { return pattern.Signal(func(t time) any { return wave(t.Float())*2 - 1 }) }
	}
}

// globals are the functions that make patterns, or say something of the whole code. As methods they have the pattern first.
var globals map[string]func(c *call) any

func init() {
	globals = map[string]func(c *call) any{
		"stack": func(c *call) any { return pattern.Stack(c.patterns()...) },
		"seq":   func(c *call) any { return pattern.FastCat(c.patterns()...) },
		"cat":   func(c *call) any { return pattern.Cat(c.patterns()...) },
		"arrange": func(c *call) any {
			total := time{}
			all := c.weighted(false)
			for i, w := range all {
				total = total.Add(w.Weight)
				all[i].Pattern = w.Pattern.Fast(w.Weight)
			}
			return pattern.TimeCat(all...).Slow(total)
		},
		"stepcat":   func(c *call) any { return pattern.TimeCat(c.weighted(true)...) },
		"stepalt":   stepAlt,
		"zip":       func(c *call) any { return pattern.Zip(c.patterns()...) },
		"polymeter": polymeter,
		"mini":      func(c *call) any { return pattern.FastCat(c.patterns()...) },
		"pure": func(c *call) any {
			if len(c.args) == 1 {
				if _, ok := c.args[0].(*pat); ok {
					pattern.Fail("pure takes a plain value: write it in single quotes")
				}
			}
			return c.pattern(0)
		},
		"squeeze": func(c *call) any {
			if len(c.args) != 2 {
				pattern.Fail("squeeze takes a pattern and a list, as in squeeze(\"0 1\", [\"c e\", \"g\"])")
			}
			list := &call{e: c.e, name: c.name, args: c.args[1:]}
			return list.do(methods["inhabit"], c.pattern(0))
		},
		"reify": func(c *call) any { return c.pattern(0) },
		"run":   func(c *call) any { return pattern.WithWhole(c.pattern(0), run) },
		"binary": func(c *call) any {
			return pattern.WithWhole(c.pattern(0), func(n int64) *pat { return binaryOf(n, int64(math.Floor(math.Log2(math.Max(1, float64(n)))))+1) })
		},
		"binaryN": func(c *call) any {
			return pattern.WithWhole(c.pattern(0), func(n int64) *pat {
				return pattern.WithWhole(c.or(1, 16.0), func(bits int64) *pat { return binaryOf(n, bits) })
			})
		},
		"irand": func(c *call) any {
			return pattern.With(c.pattern(0), func(v any) *pat {
				n := pattern.Number(v)
				return pattern.Rand(seedRand).Map(func(r any) any { return math.Floor(r.(float64) * n) })
			})
		},
		"brandBy": func(c *call) any {
			return pattern.With(c.pattern(0), func(v any) *pat {
				x := pattern.Number(v)
				return pattern.Rand(seedRand).Map(func(r any) any { return r.(float64) < x })
			})
		},
		"choose":       func(c *call) any { return chosenBy(c, pattern.Rand(seedRand)) },
		"chooseCycles": func(c *call) any { return chosenBy(c, pattern.Rand(seedRand).Segment(pattern.Cycles(1))) },
		"wchoose":      func(c *call) any { return weighted(c, pattern.Rand(seedRand)) },
		"wchooseCycles": func(c *call) any {
			return weighted(c, pattern.Rand(seedRand).Segment(pattern.Cycles(1)))
		},
		"slider": func(c *call) any { return c.pattern(0) },

		"samples": func(c *call) any { c.e.song.loads = true; return nil },
		"setcps":  func(c *call) any { c.tempo(c.number(0)); return nil },
		"setcpm":  func(c *call) any { c.tempo(c.number(0) / 60); return nil },
		"hush":    func(c *call) any { c.e.voices, c.e.last = nil, pattern.Silence(); return pattern.Silence() },
		"all": func(c *call) any {
			c.e.alls = append(c.e.alls, c.function(0))
			return nil
		},
	}
	for alias, name := range map[string]string{
		"sequence": "seq", "fastcat": "seq", "slowcat": "cat", "polyrhythm": "stack", "pr": "stack", "timecat": "stepcat", "timeCat": "stepcat", "pm": "polymeter", "m": "mini",
		"randcat": "chooseCycles", "chooseInWith": "", "setCps": "setcps", "setCpm": "setcpm", "wrandcat": "wchooseCycles", "overlay": "stack", "sequenceP": "",
	} {
		if name != "" {
			globals[alias] = globals[name]
		}
	}
}

func (c *call) tempo(cps float64) {
	if !(cps > 0) || cps > 100 {
		c.e.fail(c.e.at, "as in setcpm(120/4)", "%s needs a tempo above 0", c.name)
	}
	c.e.song.CPS = cps
}

// polymeter plays all with the same steps, as many a cycle as their common multiple.
func polymeter(c *call) any {
	all := c.patterns()
	steps := pattern.Stack(all...).Steps
	if steps.Sign() <= 0 {
		pattern.Fail("how many steps these patterns have is not known here")
	}
	for i, p := range all {
		all[i] = p.Pace(steps)
	}
	return pattern.WithSteps(pattern.Stack(all...), steps)
}

func run(n int64) *pat {
	if n <= 0 || n > parts {
		pattern.Fail("run counts up to 1 to %d, not %d", parts, n)
	}
	all := make([]*pat, n)
	for i := range all {
		all[i] = pattern.Pure(float64(i))
	}
	return pattern.FastCat(all...)
}

func binaryOf(n, bits int64) *pat {
	if n < 0 || bits <= 0 || bits > 62 {
		pattern.Fail("a number from 0 in 1 to 62 bits is needed")
	}
	all := make([]*pat, bits)
	for i := range all {
		all[i] = pattern.Pure(n>>(bits-1-int64(i))&1 == 1)
	}
	return pattern.FastCat(all...)
}

func chosenBy(c *call, dice *pat) *pat {
	all := c.patterns()
	if len(all) == 0 {
		pattern.Fail("%s has nothing to choose from", c.name)
	}
	return dice.Map(func(r any) any { return all[int(r.(float64)*float64(len(all)))] }).Inner()
}

// weighted chooses of pairs of a pattern and how likely it is.
func weighted(c *call, dice *pat) *pat {
	all := make([]*pat, len(c.args))
	upTo := make([]float64, len(c.args))
	total := 0.0
	for i, v := range c.args {
		pair, ok := v.([]any)
		if !ok || len(pair) != 2 {
			pattern.Fail("%s takes pairs of a pattern and a weight, as in [\"bd\", 3]", c.name)
		}
		w, ok := number(pair[1])
		if !ok || w < 0 {
			pattern.Fail("%s takes pairs of a pattern and a weight, as in [\"bd\", 3]", c.name)
		}
		total += w
		all[i], upTo[i] = c.sequence(pair[0], 0), total
	}
	if total <= 0 {
		pattern.Fail("%s has nothing to choose from", c.name)
	}
	return dice.Map(func(r any) any {
		for i, u := range upTo {
			if r.(float64)*total < u {
				return all[i]
			}
		}
		return all[len(all)-1]
	}).Inner()
}

// alone are globals that are no methods.
var alone = map[string]bool{
	"squeeze": true, "samples": true, "setcps": true, "setCps": true, "setcpm": true, "setCpm": true, "hush": true, "all": true, "slider": true, "run": true, "binary": true,
	"binaryN": true, "irand": true, "brandBy": true, "arrange": true, "mini": true, "m": true, "pure": true, "reify": true,
}

// canonical is a control's own name.
func canonical(name string) string {
	if c, ok := vocab.Controls()[name]; ok {
		return c.Name
	}
	return name
}

// visual are methods that draw, or show something: they change nothing that plays.
var visual = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`pianoroll punchcard wordfall scope tscope fscope spectrum spiral pitchwheel draw drawLine onPaint markcss log logValues
		animate clear`) {
		visual[name] = true
	}
}
