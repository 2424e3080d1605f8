package synth

import "github.com/slopstudios/slop/stdlib/strudel/score"

// bus is where the voices of an orbit meet, with the room and the echo they share.
type bus struct {
	left, right           [block]float64
	roomLeft, roomRight   [block]float64
	delayLeft, delayRight [block]float64
	room                  *room
	echo                  *echo
}

// settle takes over what a note says of the room and the echo of its orbit.
func (b *bus) settle(n *score.Note, cps float64) {
	if n.Or("delay", 0) > 0 {
		if b.echo == nil {
			b.echo = newEcho()
		}
		seconds := n.Or("delaytime", 0.25)
		if cycles, ok := n.Number("delaysync"); ok {
			seconds = cycles / cps
		}
		b.echo.set(seconds, n.Or("delayfeedback", 0.5))
	}
	if n.Or("room", 0) > 0 {
		if b.room == nil {
			b.room = newRoom()
		}
		size := min(max(n.Or("roomsize", 2), 0), 20)
		b.room.set(min(max(n.Or("roomfade", 0.3+float64(0.6*size)), 0.05), 30), n.Or("roomlp", 9000))
	}
}

// finish adds echo and room to the sound of a block and clears it for the next.
func (b *bus) finish(left, right *[block]float64) {
	if b.echo != nil {
		b.echo.run(b)
	}
	if b.room != nil {
		b.room.run(b)
	}
	for i := range block {
		left[i] += b.left[i]
		right[i] += b.right[i]
	}
	*b = bus{room: b.room, echo: b.echo}
}

// maxEcho is the longest time between two echoes.
const maxEcho = 4

type echo struct {
	left, right []float64
	at, length  int
	feedback    float64
}

func newEcho() *echo {
	return &echo{left: make([]float64, maxEcho*Rate), right: make([]float64, maxEcho*Rate)}
}

func (e *echo) set(seconds, feedback float64) {
	e.length = max(frames(min(seconds, maxEcho)), 32)
	e.feedback = min(max(feedback, 0), 0.97) // at 1 it would never end
}

func (e *echo) run(b *bus) {
	size := len(e.left)
	from := e.at - e.length
	if from < 0 {
		from += size
	}
	for i := range block {
		l, r := e.left[from], e.right[from]
		e.left[e.at] = b.delayLeft[i] + float64(e.feedback*l)
		e.right[e.at] = b.delayRight[i] + float64(e.feedback*r)
		b.left[i] += l
		b.right[i] += r
		if e.at++; e.at == size {
			e.at = 0
		}
		if from++; from == size {
			from = 0
		}
	}
}

// room is a reverberation after Schroeder and Moorer: combs that are dulled at every round, side by side, then two all-passes that thicken them.
type room struct {
	combs   [2][6]comb
	passes  [2][2]allpass
	quiet   int // frames since something came in
	seconds float64
}

type comb struct {
	line       []float64
	at         int
	last       float64
	gain, dull float64
}

type allpass struct {
	line []float64
	at   int
}

// Lengths without common divisors, so that the echoes of the combs do not fall together.
var (
	combFrames = [6]int{1553, 1613, 1759, 1831, 1933, 2053}
	passFrames = [2]int{241, 563}
)

const apart = 23 // frames by which the right differs from the left

func newRoom() *room {
	r := &room{quiet: 1 << 30}
	for side := range 2 {
		for i, n := range combFrames {
			r.combs[side][i].line = make([]float64, n+side*apart)
		}
		for i, n := range passFrames {
			r.passes[side][i].line = make([]float64, n+side*apart)
		}
	}
	return r
}

func (r *room) set(seconds, lowpass float64) {
	r.seconds = seconds
	for side := range r.combs {
		for i := range r.combs[side] {
			c := &r.combs[side][i]
			c.gain = exp2(float64(-9.965784284662087*float64(len(c.line))) / float64(seconds*Rate))
			c.dull = exp2(float64(-9.0647 * min(max(lowpass, 200), 20000) / Rate)) // e^(-2π f/rate)
		}
	}
}

func (r *room) run(b *bus) {
	heard := false
	for i := range block {
		heard = heard || b.roomLeft[i] != 0 || b.roomRight[i] != 0
	}
	if r.quiet += block; heard {
		r.quiet = 0
	}
	if float64(r.quiet) > float64(r.seconds*(2*Rate)) {
		return // it has died away
	}
	for side := range 2 {
		in, out := &b.roomLeft, &b.left
		if side == 1 {
			in, out = &b.roomRight, &b.right
		}
		for i := range block {
			// A little of the other side, so that what is far left is heard in the whole room.
			x := float64(0.12 * (float64(0.7*in[i]) + float64(0.3*(b.roomLeft[i]+b.roomRight[i]))))
			sum := 0.0
			for j := range r.combs[side] {
				c := &r.combs[side][j]
				v := c.line[c.at]
				c.last = v + float64(c.dull*(c.last-v))
				c.line[c.at] = x + float64(c.gain*c.last)
				if c.at++; c.at == len(c.line) {
					c.at = 0
				}
				sum += v
			}
			for j := range r.passes[side] {
				p := &r.passes[side][j]
				v := p.line[p.at]
				y := v - float64(0.5*sum)
				p.line[p.at] = sum + float64(0.5*y)
				if p.at++; p.at == len(p.line) {
					p.at = 0
				}
				sum = y
			}
			out[i] += sum
		}
	}
}
