package run_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

// reflected is a fact as encoding/json writes it.
func reflected(f run.Fact) (string, error) {
	head, err := json.Marshal(struct {
		Version int       `json:"v"`
		Seq     run.Seq   `json:"seq"`
		At      time.Time `json:"at"`
		Kind    string    `json:"kind"`
	}{run.EncodingVersion, f.Seq, f.At.Round(0).UTC(), f.Kind()})
	if err != nil {
		return "", err
	}
	body := f.Body
	if done, ok := body.(*run.CallDone); ok {
		raw, err := run.EncodeValue(done.Value)
		if err != nil {
			return "", err
		}
		c := *done
		c.Value = json.RawMessage(raw)
		body = &c
	}
	fields, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	return string(head[:len(head)-1]) + "," + string(fields[1:]), nil
}

func same(t *testing.T, f run.Fact) {
	t.Helper()
	want, errWant := reflected(f)
	got, errGot := run.AppendFact([]byte("before "), f)
	switch {
	case (errWant == nil) != (errGot == nil):
		t.Fatalf("%#v: %v, want %v", f.Body, errGot, errWant)
	case errGot != nil && string(got) != "before ":
		t.Fatalf("an error left %q behind", got)
	case errGot == nil && string(got) != "before "+want:
		t.Fatalf("got  %s\nwant %s", got[len("before "):], want)
	}
}

// A log has one form: what is written by hand is what encoding/json writes of the same structs, whatever fields they have.
func TestCallsAreWrittenAsTheirStructsSay(t *testing.T) {
	for _, f := range facts() {
		switch f.Body.(type) {
		case *run.CallStarted, *run.CallDone:
			same(t, f)
		}
	}
	for _, body := range []run.Body{&run.CallStarted{}, &run.CallDone{}} {
		same(t, run.Fact{Seq: 1, At: at, Body: body})
		v := reflect.ValueOf(body).Elem()
		for i := range v.NumField() {
			part := v.Field(i)
			if part.Kind() != reflect.Struct {
				set(part)
				same(t, run.Fact{Seq: 1, At: at, Body: body})
				continue
			}
			for j := range part.NumField() {
				part.SetZero()
				set(part.Field(j))
				same(t, run.Fact{Seq: 1, At: at, Body: body})
			}
			for j := range part.NumField() {
				set(part.Field(j))
			}
		}
		same(t, run.Fact{Seq: 1, At: at, Body: body})
	}
}

// set gives a field something to be written.
func set(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("some <text>")
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	default:
		v.Set(reflect.ValueOf("a <value>"))
	}
}

func FuzzAppendFact(f *testing.F) {
	f.Add("poem#2/review", "key", "model", "x", int64(3), int64(0), uint64(7), int64(1e18))
	f.Add("a<b>&\u2028\x7f\x00\b\f\"\\\xff", "\u00e9\ufffd", "", "\xe2\x80\xa8 \u2029</script>", int64(-1), int64(5), uint64(1), int64(-1))
	f.Fuzz(func(t *testing.T, path, key, word, text string, a, b int64, seq uint64, nanos int64) {
		when := time.Unix(nanos%1e13, nanos).In(time.FixedZone("", int(a%80_000)))
		for _, body := range []run.Body{
			&run.CallStarted{Path: run.Path(path), Attempt: int(a), Key: key, Fingerprint: word},
			&run.CallStarted{Path: run.Path(path), Key: key, Reserved: run.Amount{Tokens: b, Calls: a}},
			&run.CallDone{Path: run.Path(path), Attempt: int(b), Value: text, Source: word, AgentID: key},
			&run.CallDone{Value: map[string]any{text: []any{text, int(a), float64(b)}}, Usage: run.Usage{Calls: a, CacheRead: b, Tokens: run.Source(word), Model: text}},
		} {
			same(t, run.Fact{Seq: run.Seq(seq), At: when, Body: body})
		}
	})
}
