package picture_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/picture"
	"github.com/slopstudios/slop/stdlib/strudel/score"
)

func event(at, length int64, c map[string]any) pattern.Event {
	span := pattern.Span{Begin: pattern.Fraction(at, 4), End: pattern.Fraction(at+length, 4)}
	return pattern.Event{Whole: &span, Part: span, Value: c}
}

// rectangle is a note as it is drawn.
type rectangle struct{ x, y, width, height float64 }

var noteShape = regexp.MustCompile(`M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z`)

// read decodes the picture: its notes by colour, its texts, and every element and attribute by name.
func read(t *testing.T, svg []byte) (notes map[string][]rectangle, texts []string, words map[string]bool) {
	t.Helper()
	notes, words = map[string][]rectangle{}, map[string]bool{}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return notes, texts, words
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			words[token.Name.Local] = true
			at := map[string]string{}
			for _, a := range token.Attr {
				words[a.Name.Local] = true
				at[a.Name.Local] = a.Value
			}
			if token.Name.Local == "path" && at["fill-opacity"] != "" {
				for _, m := range noteShape.FindAllStringSubmatch(at["d"], -1) {
					var f [4]float64
					for i := range f {
						f[i], _ = strconv.ParseFloat(m[i+1], 64)
					}
					notes[at["fill"]] = append(notes[at["fill"]], rectangle{f[0], f[1], f[2], f[3]})
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				texts = append(texts, s)
			}
		}
	}
}

func TestNotesStandWhereTheySound(t *testing.T) {
	s := score.Read([]pattern.Event{
		event(0, 4, map[string]any{"s": "bd", "color": "red"}),
		event(4, 4, map[string]any{"s": "bd", "color": "red"}),
		event(0, 8, map[string]any{"s": "sine", "note": 60.0, "color": "#00ff00"}),
		event(4, 2, map[string]any{"s": "sine", "note": 72.0, "color": "blue"}),
	}, 1, 4)
	peaks := make([]score.Peak, 100)
	for i := range peaks {
		peaks[i] = score.Peak{Low: -0.5, High: 0.5}
	}
	notes, texts, words := read(t, picture.Draw(s, peaks))
	red, green, blue := notes["red"], notes["#00ff00"], notes["blue"]
	if len(red) != 2 || len(green) != 1 || len(blue) != 1 {
		t.Fatalf("drawn are %v", notes)
	}
	if red[1].x-red[0].x != blue[0].x-green[0].x || red[1].x <= red[0].x {
		t.Error("what sounds at the same time does not stand at the same place")
	}
	if blue[0].y >= green[0].y || green[0].y <= red[0].y {
		t.Error("the higher note does not stand higher, or the drum is not above")
	}
	if got := green[0].width / blue[0].width; got < 3.9 || got > 4.1 {
		t.Errorf("a note of four times the length is drawn %f times as wide", got)
	}
	for _, want := range []string{"bd", "sine", "sound", "c4"} {
		if !strings.Contains(strings.Join(texts, "\n")+"\n", want+"\n") {
			t.Errorf("%q is not written in it: %q", want, texts)
		}
	}
	if words["script"] || words["onload"] || words["href"] {
		t.Error("there is more in it than a picture")
	}
}

// Names and colours are those of a script: they cannot become part of the picture's language.
func TestHostileNames(t *testing.T) {
	var events []pattern.Event
	for i, name := range []string{`<script>alert(1)</script>`, `"/><image href="http://x"/>`, "a\x00b\x1f", "\xff\xfe", "]]>", "&amp;&bogus;", strings.Repeat("long", 100)} {
		events = append(events, event(int64(i), 1, map[string]any{"s": name, "note": 60.0, "color": name}), event(int64(i), 1, map[string]any{"s": name + "x"}))
	}
	_, _, words := read(t, picture.Draw(score.Read(events, 1, 4), nil))
	for _, word := range []string{"script", "image", "href"} {
		if words[word] {
			t.Errorf("%s became part of the picture", word)
		}
	}
}

func TestNothingToSee(t *testing.T) {
	for _, seconds := range []float64{0.01, 1, 600} {
		if notes, _, _ := read(t, picture.Draw(score.Read(nil, 0.5, seconds), nil)); len(notes) > 0 {
			t.Errorf("drawn are %v", notes)
		}
	}
}
