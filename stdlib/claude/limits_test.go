package claude

import (
	"net/http"
	"testing"
	"time"
)

// When the API may be asked again stands in several headers: what it says outright counts first, then the last of the limits that are used up.
func TestWait(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	for name, c := range map[string]struct {
		headers map[string]string
		want    time.Duration
	}{
		"nothing":               {nil, 0},
		"seconds":               {map[string]string{"retry-after": "17", "anthropic-ratelimit-requests-reset": in(time.Hour), "anthropic-ratelimit-requests-remaining": "0"}, 17 * time.Second},
		"a date":                {map[string]string{"retry-after": now.Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second},
		"the limit that is hit": {map[string]string{"anthropic-ratelimit-requests-remaining": "49", "anthropic-ratelimit-requests-reset": in(time.Hour), "anthropic-ratelimit-input-tokens-remaining": "0", "anthropic-ratelimit-input-tokens-reset": in(20 * time.Second)}, 20 * time.Second},
		"the last of two":       {map[string]string{"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": in(5 * time.Second), "anthropic-ratelimit-output-tokens-remaining": "0", "anthropic-ratelimit-output-tokens-reset": in(50 * time.Second)}, 50 * time.Second},
		"none is hit":           {map[string]string{"anthropic-ratelimit-requests-remaining": "1", "anthropic-ratelimit-requests-reset": in(time.Hour)}, 0},
		"a subscription":        {map[string]string{"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": "1795784400"}, time.Hour},
		"it is over":            {map[string]string{"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": in(-time.Minute)}, 0},
		"nonsense":              {map[string]string{"retry-after": "soon", "anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "soon"}, 0},
		"too far":               {map[string]string{"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": in(1000 * time.Hour)}, longest},
	} {
		h := http.Header{}
		for name, value := range c.headers {
			h.Set(name, value)
		}
		if d := wait(h, now); d != c.want {
			t.Errorf("%s: %v, not %v", name, d, c.want)
		}
	}
}

// What the program says to people about the end of a limit.
func TestLimitEnds(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"You've hit your limit · resets 1pm":                       now.Add(30 * time.Minute),
		"You've hit your limit · resets 12pm":                      now.Add(23*time.Hour + 30*time.Minute),
		"You've hit your session limit · resets 12:45am (UTC)":     now.Add(12*time.Hour + 15*time.Minute),
		"You've hit your limit, resets at 2:15 pm (Europe/Berlin)": now.Add(45 * time.Minute),
		"usage limit reached|1795784400":                           time.Unix(1795784400, 0),
		"You've hit your limit":                                    {},
		"resets 13pm":                                              {},
		"resets Friday":                                            {},
	} {
		if at := limitEnds(text, now); !at.Equal(want) {
			t.Errorf("%s: %v, not %v", text, at, want)
		}
	}
}
