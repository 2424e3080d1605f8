// Package picture draws a score as a piano roll with the wave of its sound below it, as SVG.
package picture

import (
	"fmt"
	"html"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/score"
)

// Type is the media type of the picture.
const Type = "image/svg+xml"

// In pixels.
const (
	gutter = 132 // for the names at the left
	inner  = 1200
	margin = 24
	top    = 64
	lane   = 20
	wave   = 120
	gap    = 14
)

// colours are far apart, also for those who see few of them, and dark enough for white paper.
var colours = []string{"#2f6db5", "#c8501e", "#3b8a3e", "#8a4fa8", "#b8860b", "#b03060", "#22888c", "#6b5b3e", "#5566cc", "#7a8a1e"}

// Draw gives the picture. peaks may be empty: then there is no wave.
func Draw(s *score.Score, peaks []score.Peak) []byte {
	d := &drawing{score: s, colour: map[string]string{}}
	d.arrange()
	d.head(len(peaks) > 0)
	d.grid()
	d.notes()
	if len(peaks) > 0 {
		d.wave(peaks)
	}
	d.b.WriteString("</svg>\n")
	return []byte(d.b.String())
}

type drawing struct {
	score     *score.Score
	b         strings.Builder
	sounds    []string // in the order they are first heard
	colour    map[string]string
	lanes     []string // of sounds without pitch
	low, high int      // the keys of the others
	row       float64  // the height of a key
	rollTop   float64
	bottom    float64 // of lanes and roll
}

func (d *drawing) arrange() {
	d.low, d.high = 1<<10, -1<<10
	for i := range d.score.Notes {
		n := &d.score.Notes[i]
		if d.colour[n.Sound] == "" {
			d.colour[n.Sound] = colours[len(d.sounds)%len(colours)]
			d.sounds = append(d.sounds, n.Sound)
		}
		if n.Pitched() {
			key := int(math.Round(n.Key))
			d.low, d.high = min(d.low, key), max(d.high, key)
		} else if !slices.Contains(d.lanes, n.Sound) {
			d.lanes = append(d.lanes, n.Sound)
		}
	}
	d.rollTop = top + float64(lane*len(d.lanes))
	d.bottom = d.rollTop
	if d.low <= d.high {
		if len(d.lanes) > 0 {
			d.rollTop += gap
		}
		d.low, d.high = d.low-1, d.high+1
		d.row = min(max(300/float64(d.high-d.low+1), 3), 12)
		d.bottom = d.rollTop + float64(d.row*float64(d.high-d.low+1)) // rounded first, so that no processor draws it otherwise
	}
	d.bottom = max(d.bottom, top+lane)
}

// x is where a moment is.
func (d *drawing) x(seconds float64) float64 { return gutter + inner*seconds/d.score.Seconds }

func (d *drawing) head(heard bool) {
	width, height := gutter+inner+margin, d.bottom+28+margin
	if heard {
		height += wave + gap
	}
	title := fmt.Sprintf("%s of music, %d notes, %s bpm", length(d.score.Seconds), len(d.score.Notes), number(240*d.score.CPS)) // four beats a cycle
	fmt.Fprintf(&d.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %s" width="%d" height="%s" font-family="system-ui, sans-serif" font-size="12" role="img">`+"\n",
		width, number(height), width, number(height))
	fmt.Fprintf(&d.b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fdfcf9\"/>\n", title)
	fmt.Fprintf(&d.b, `<text x="%d" y="24" font-size="14" fill="#222">%s</text>`+"\n", margin, title)
	x := float64(margin)
	for i, sound := range d.sounds {
		name := shown(sound)
		if x > gutter+inner-160 {
			fmt.Fprintf(&d.b, `<text x="%s" y="48" fill="#666">and %d more</text>`+"\n", number(x), len(d.sounds)-i)
			break
		}
		fmt.Fprintf(&d.b, `<rect x="%s" y="38" width="11" height="11" rx="2" fill="%s"/><text x="%s" y="48" fill="#444">%s</text>`+"\n", number(x), d.colour[sound], number(x+16), name)
		x += 34 + 7*float64(len([]rune(html.UnescapeString(name))))
	}
}

// grid draws a line for each second or more, faint ones for the cycles, and the names at the left.
func (d *drawing) grid() {
	s := d.score
	every := 1.0
	for _, step := range []float64{1, 2, 5, 10, 30, 60, 120} {
		if every = step; s.Seconds/step <= 20 {
			break
		}
	}
	if cycles := s.Seconds * s.CPS; cycles <= 128 {
		d.b.WriteString(`<path stroke="#e4e0d6" stroke-width="1" d="`)
		for c := 0.0; c <= cycles; c++ {
			fmt.Fprintf(&d.b, "M%s %dV%s", number(d.x(c/s.CPS)), top, number(d.bottom))
		}
		d.b.WriteString("\"/>\n")
	}
	for t := 0.0; t <= s.Seconds; t += every {
		fmt.Fprintf(&d.b, `<path stroke="#bbb" d="M%s %sv5"/><text x="%s" y="%s" fill="#666" font-size="11" text-anchor="middle">%s</text>`+"\n",
			number(d.x(t)), number(d.bottom), number(d.x(t)), number(d.bottom+18), length(t))
	}
	for i, sound := range d.lanes {
		y := top + lane*i
		fmt.Fprintf(&d.b, `<path stroke="#e4e0d6" d="M%d %dh%d"/><text x="%d" y="%d" fill="#444" text-anchor="end">%s</text>`+"\n",
			gutter, y+lane, inner, gutter-8, y+14, shown(sound))
	}
	if d.row == 0 {
		return
	}
	for key := d.low; key <= d.high; key++ {
		y := d.y(float64(key))
		if slices.Contains([]int{1, 3, 6, 8, 10}, (key%12+12)%12) {
			fmt.Fprintf(&d.b, `<rect x="%d" y="%s" width="%d" height="%s" fill="#f1eee6"/>`+"\n", gutter, number(y), inner, number(d.row))
		}
		if (key%12+12)%12 == 0 || d.row >= 11 {
			fmt.Fprintf(&d.b, `<text x="%d" y="%s" fill="#666" font-size="11" text-anchor="end">%s</text>`+"\n", gutter-8, number(y+d.row/2+4), keyName(key))
		}
	}
}

// y is the upper edge of a key's row.
func (d *drawing) y(key float64) float64 { return d.rollTop + float64(d.row*(float64(d.high)-key)) }

// plain is a colour that may stand in a picture as it was written.
var plain = regexp.MustCompile(`^(#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,24})$`)

// notes draws a path for each colour and loudness.
func (d *drawing) notes() {
	type look struct {
		fill    string
		opacity int // tenths
	}
	paths := map[look]*strings.Builder{}
	var order []look
	for i := range d.score.Notes {
		n := &d.score.Notes[i]
		level := n.Level()
		if level == 0 {
			continue
		}
		l := look{d.colour[n.Sound], int(math.Round(4 + float64(6*min(level, 1))))}
		if c := n.Text("color"); plain.MatchString(c) {
			l.fill = c
		}
		p := paths[l]
		if p == nil {
			p = &strings.Builder{}
			paths[l] = p
			order = append(order, l)
		}
		y, height := d.y(n.Key), d.row
		if !n.Pitched() {
			y, height = float64(top+lane*slices.Index(d.lanes, n.Sound)+3), lane-5
		}
		from, to := d.x(n.Start), d.x(min(n.Start+n.Sounding(), d.score.Seconds))
		width := max(to-from-1, 2) // a little space, so that repeated notes are told apart
		fmt.Fprintf(p, "M%s %sh%sv%sh-%sz", number(from), number(y+0.5), number(width), number(height-1), number(width))
	}
	for _, l := range order {
		fmt.Fprintf(&d.b, `<path fill="%s" fill-opacity="%s" d="%s"/>`+"\n", l.fill, number(float64(l.opacity)/10), paths[l].String())
	}
}

func (d *drawing) wave(peaks []score.Peak) {
	middle := d.bottom + 28 + wave/2
	fmt.Fprintf(&d.b, `<text x="%d" y="%s" fill="#444" text-anchor="end">sound</text>`+"\n", gutter-8, number(middle+4))
	fmt.Fprintf(&d.b, `<path stroke="#ddd8cc" d="M%d %sh%d"/><path fill="#33475b" d="M%d %s`, gutter, number(middle), inner, gutter, number(middle))
	at := func(i int) string { return number(gutter + inner*(float64(i)+0.5)/float64(len(peaks))) }
	for i, p := range peaks {
		fmt.Fprintf(&d.b, "L%s %s", at(i), number(middle-float64(p.High)*wave/2))
	}
	for i, p := range slices.Backward(peaks) {
		fmt.Fprintf(&d.b, "L%s %s", at(i), number(middle-float64(p.Low)*wave/2))
	}
	d.b.WriteString("z\"/>\n")
}

// shown is a name as it may stand in a picture.
func shown(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "")))
	if len(runes) > 17 {
		runes = append(runes[:16], '…')
	}
	return html.EscapeString(string(runes))
}

func keyName(key int) string {
	names := strings.Fields("c c# d d# e f f# g g# a a# b")
	return names[(key%12+12)%12] + strconv.Itoa(int(math.Floor(float64(key)/12))-1)
}

// length is a time as one reads it.
func length(seconds float64) string {
	if seconds < 60 {
		return number(seconds) + " s"
	}
	return fmt.Sprintf("%d:%02d", int(seconds)/60, int(seconds)%60)
}

// number has one decimal at most, which is finer than eyes.
func number(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(math.Round(f*10)/10, 'f', 1, 64), ".0")
}
