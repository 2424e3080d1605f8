package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// counts are what happened in some time.
type counts struct {
	flows map[string]*runCounts
	steps map[Step]*callCounts
}

// Step names what calls are counted by: a step of a flow, whatever its item or round, and whom it calls.
type Step struct {
	Flow  string `json:"flow"`
	Step  string `json:"step"`
	Agent string `json:"agent"`
}

// runCounts are about runs.
type runCounts struct {
	Begun     int64  `json:"begun,omitempty"`
	Succeeded int64  `json:"succeeded,omitempty"`
	Failed    int64  `json:"failed,omitempty"`
	Cancelled int64  `json:"cancelled,omitempty"`
	Took      spread `json:"took"`
	Waited    spread `json:"waited"`
}

func (c *runCounts) add(d *runCounts) {
	c.Begun += d.Begun
	c.Succeeded += d.Succeeded
	c.Failed += d.Failed
	c.Cancelled += d.Cancelled
	c.Took.merge(&d.Took)
	c.Waited.merge(&d.Waited)
}

// callCounts are about calls: each attempt is one.
type callCounts struct {
	Succeeded int64  `json:"succeeded,omitempty"`
	Failed    int64  `json:"failed,omitempty"`
	Cancelled int64  `json:"cancelled,omitempty"`
	Cached    int64  `json:"cached,omitempty"`
	Asked     int64  `json:"asked,omitempty"`
	Retries   int64  `json:"retries,omitempty"`
	Repairs   int64  `json:"repairs,omitempty"`
	Took      spread `json:"took"`

	Counted    int64      `json:"counted,omitempty"` // calls whose tokens are known
	Uncounted  int64      `json:"uncounted,omitempty"`
	Input      int64      `json:"input,omitempty"`
	Output     int64      `json:"output,omitempty"`
	CacheRead  int64      `json:"cacheRead,omitempty"`
	CacheWrite int64      `json:"cacheWrite,omitempty"`
	Priced     int64      `json:"priced,omitempty"` // calls whose cost is known
	Unpriced   int64      `json:"unpriced,omitempty"`
	Cost       plan.Money `json:"cost,omitempty"`
}

func (c *callCounts) add(d *callCounts) {
	c.Succeeded += d.Succeeded
	c.Failed += d.Failed
	c.Cancelled += d.Cancelled
	c.Cached += d.Cached
	c.Asked += d.Asked
	c.Retries += d.Retries
	c.Repairs += d.Repairs
	c.Took.merge(&d.Took)
	c.Counted += d.Counted
	c.Uncounted += d.Uncounted
	c.Input += d.Input
	c.Output += d.Output
	c.CacheRead += d.CacheRead
	c.CacheWrite += d.CacheWrite
	c.Priced += d.Priced
	c.Unpriced += d.Unpriced
	c.Cost += d.Cost
}

// use books what a call used. Figures that nobody knows are no zeros.
func (c *callCounts) use(u run.Usage) {
	switch u.Tokens {
	case run.Reported, run.Estimated:
		c.Counted++
	case run.Unknown:
		c.Uncounted++
	}
	c.Input += u.Input
	c.Output += u.Output
	c.CacheRead += u.CacheRead
	c.CacheWrite += u.CacheWrite
	switch u.CostSource {
	case run.Reported, run.Estimated:
		c.Priced++
	case run.Unknown:
		c.Unpriced++
	}
	c.Cost += u.Cost
}

// flow gives the counters of a flow. Behind the bound all share one.
func (c *counts) flow(name string) *runCounts {
	if name = clip(name); c.flows[name] == nil && len(c.flows) >= maxSeries {
		name = Other
	}
	return entry(&c.flows, name)
}

// step gives the counters of a step.
func (c *counts) step(s Step) *callCounts {
	s = Step{clip(s.Flow), clip(s.Step), clip(s.Agent)}
	if c.steps[s] == nil && len(c.steps) >= maxSeries {
		s.Flow, s.Step = Other, Other
		if c.steps[s] == nil && len(c.steps) >= 2*maxSeries {
			s.Agent = Other
		}
	}
	return entry(&c.steps, s)
}

func entry[K comparable, V any](m *map[K]*V, key K) *V {
	v := (*m)[key]
	if v == nil {
		if *m == nil {
			*m = map[K]*V{}
		}
		v = new(V)
		(*m)[key] = v
	}
	return v
}

// clip makes a name of what somebody calls something: no longer than maxName, and letters only, as those who read metrics want it.
func clip(name string) string {
	name = strings.ToValidUTF8(name, "�")
	if len(name) <= maxName {
		return name
	}
	cut := maxName
	for cut > 0 && name[cut]&0xC0 == 0x80 { // in the midst of a letter
		cut--
	}
	return name[:cut] + "…"
}

// add merges what another process, or another hour, counted.
func (c *counts) add(d *counts) {
	for name, f := range d.flows {
		entry(&c.flows, name).add(f)
	}
	for s, f := range d.steps {
		entry(&c.steps, s).add(f)
	}
}

// kept is how counts are written.
type kept struct {
	Flows []keptFlow `json:"flows,omitempty"`
	Steps []keptStep `json:"steps,omitempty"`
}

type keptFlow struct {
	Flow string `json:"flow"`
	runCounts
}

type keptStep struct {
	Step
	callCounts
}

// MarshalJSON implements json.Marshaler.
func (c *counts) MarshalJSON() ([]byte, error) {
	var k kept
	for _, name := range slices.Sorted(maps.Keys(c.flows)) {
		k.Flows = append(k.Flows, keptFlow{name, *c.flows[name]})
	}
	for _, s := range slices.SortedFunc(maps.Keys(c.steps), Step.compare) {
		k.Steps = append(k.Steps, keptStep{s, *c.steps[s]})
	}
	return json.Marshal(k)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *counts) UnmarshalJSON(data []byte) error {
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return err
	}
	for i := range k.Flows {
		entry(&c.flows, k.Flows[i].Flow).add(&k.Flows[i].runCounts)
	}
	for i := range k.Steps {
		entry(&c.steps, k.Steps[i].Step).add(&k.Steps[i].callCounts)
	}
	return nil
}

// scale is the accuracy of sketches: quantiles are within 1 % of what they should be.
var scale = must(mapping.NewLogarithmicMapping(0.01))

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("metrics: %v", err))
	}
	return v
}

// spread is how long things took, in milliseconds.
type spread struct {
	sum    float64
	sketch *ddsketch.DDSketch // nil: nothing did
}

func (s *spread) add(d time.Duration) {
	ms := float64(max(d, 0)) / float64(time.Millisecond) // clocks of two machines may differ
	s.sum += ms
	if s.sketch == nil {
		s.sketch = ddsketch.NewDDSketchFromStoreProvider(scale, store.BufferedPaginatedStoreConstructor)
	}
	_ = s.sketch.Add(ms) // it is no number that a sketch refuses
}

func (s *spread) merge(o *spread) {
	if o.sketch == nil {
		return
	}
	s.sum += o.sum
	if s.sketch == nil {
		s.sketch = o.sketch.Copy()
		return
	}
	_ = s.sketch.MergeWith(o.sketch) // all have one scale
}

// keptSpread is how a spread is written.
type keptSpread struct {
	Sum    float64 `json:"sum"`
	Sketch []byte  `json:"sketch"`
}

// MarshalJSON implements json.Marshaler.
func (s spread) MarshalJSON() ([]byte, error) {
	if s.sketch == nil {
		return []byte("null"), nil
	}
	k := keptSpread{Sum: s.sum}
	s.sketch.Encode(&k.Sketch, true)
	return json.Marshal(k)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *spread) UnmarshalJSON(data []byte) error {
	var k *keptSpread
	if err := json.Unmarshal(data, &k); err != nil || k == nil {
		return err
	}
	sketch, err := ddsketch.DecodeDDSketch(k.Sketch, store.BufferedPaginatedStoreConstructor, scale)
	if err != nil {
		return err
	}
	s.sum, s.sketch = k.Sum, sketch
	return nil
}
