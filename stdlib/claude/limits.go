package claude

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/stdlib/outcome"
)

// longest is how far away the end of a limit may be; beyond it what was said is more likely wrong than meant.
const longest = 7 * 24 * time.Hour

// wait is how long the API wants us to wait: what it says outright, else until the last of the limits is over that are used up.
func wait(h http.Header, now time.Time) time.Duration {
	if d := outcome.RetryAfter(h, now); d > 0 {
		return d
	}
	const prefix = "Anthropic-Ratelimit-"
	var over time.Time
	for name := range h {
		kind, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if kind, ok = strings.CutSuffix(kind, "-Reset"); !ok {
			continue
		}
		left, err := strconv.ParseFloat(h.Get(prefix+kind+"-Remaining"), 64)
		if used := err == nil && left <= 0 || h.Get(prefix+kind+"-Status") == "rejected"; !used {
			continue
		}
		if at := written(h.Get(name)); at.After(over) {
			over = at
		}
	}
	if over.IsZero() {
		return 0
	}
	return min(max(0, over.Sub(now)), longest)
}

// written reads a time as the API and the program write them: RFC 3339, or seconds since 1970.
func written(text string) time.Time {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return moment(n)
	}
	return moment(text)
}

// moment reads a time given in seconds or milliseconds since 1970, or written out.
func moment(v any) time.Time {
	switch v := v.(type) {
	case float64:
		if v > 1e12 {
			v /= 1000
		}
		if v > 0 && v < 1e11 {
			return time.Unix(int64(v), 0)
		}
	case string:
		at, err := time.Parse(time.RFC3339, v)
		if err == nil {
			return at
		}
	}
	return time.Time{}
}

// limitText is how the program speaks of a limit; some versions add when it ends, in seconds since 1970.
var limitText = regexp.MustCompile(`(?i)(?:hit your (?:\w+ )?limit|usage limit reached|limit reached)(?:\|(\d{10,13}))?`)

// resetText is how it says to people when a limit ends: "resets 1pm", "resets at 3:30 am (Europe/Berlin)".
var resetText = regexp.MustCompile(`(?i)resets (?:at )?(\d{1,2})(?::(\d{2}))?\s?([ap]m)(?: \(([A-Za-z_+\-/0-9]+)\))?`)

// limitEnds reads when the limit is over that a text of the program speaks of; zero: it does not say.
func limitEnds(text string, now time.Time) time.Time {
	if at := limitText.FindStringSubmatch(text); at != nil && at[1] != "" {
		return written(at[1])
	}
	at := resetText.FindStringSubmatch(text)
	if at == nil {
		return time.Time{}
	}
	hour, _ := strconv.Atoi(at[1])
	minute, _ := strconv.Atoi(at[2])
	if hour < 1 || hour > 12 || minute > 59 {
		return time.Time{}
	}
	hour %= 12
	if strings.EqualFold(at[3], "pm") {
		hour += 12
	}
	if zone, err := time.LoadLocation(at[4]); err == nil && at[4] != "" {
		now = now.In(zone)
	}
	end := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, now.Location())
	if !end.After(now) {
		end = end.AddDate(0, 0, 1)
	}
	return end
}
