package run

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// What is here writes what encoding/json would write of the same structs, byte for byte: a log has one form, whoever wrote it.

// appendHeader leaves the object open for the fields of the body.
func appendHeader(b []byte, f Fact) ([]byte, error) {
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, EncodingVersion, 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, uint64(f.Seq), 10)
	b = append(b, `,"at":"`...)
	b, err := f.At.Round(0).UTC().AppendText(b)
	if err != nil {
		return b, err
	}
	b = append(b, `","kind":"`...)
	b = append(b, f.Kind()...)
	return append(b, '"'), nil
}

func (c *CallStarted) appendFields(b []byte) []byte {
	b = appendCall(b, c.Path, c.Attempt)
	b = appendText(append(b, `,"key":`...), c.Key)
	b = appendText(append(b, `,"fingerprint":`...), c.Fingerprint)
	if r := c.Reserved; r != (Amount{}) {
		b = append(b, `,"reserved":{`...)
		b = appendCount(b, `"money":`, int64(r.Money))
		b = appendCount(b, `"tokens":`, r.Tokens)
		b = appendCount(b, `"calls":`, r.Calls)
		b[len(b)-1] = '}'
	}
	return append(b, '}')
}

func (c *CallDone) appendFields(b []byte) ([]byte, error) {
	b = appendCall(b, c.Path, c.Attempt)
	b = append(b, `,"value":`...)
	start := len(b)
	b, err := AppendValue(b, c.Value)
	if err != nil {
		return b, err
	}
	b = escapeHTML(b, start)
	if u := c.Usage; u != (Usage{}) {
		b = append(b, `,"usage":{`...)
		b = appendCount(b, `"calls":`, u.Calls)
		b = appendCount(b, `"input":`, u.Input)
		b = appendCount(b, `"output":`, u.Output)
		b = appendCount(b, `"cacheRead":`, u.CacheRead)
		b = appendCount(b, `"cacheWrite":`, u.CacheWrite)
		b = appendWord(b, `"tokens":`, string(u.Tokens))
		b = appendCount(b, `"cost":`, int64(u.Cost))
		b = appendWord(b, `"costSource":`, string(u.CostSource))
		b = appendWord(b, `"model":`, u.Model)
		b[len(b)-1] = '}'
	}
	b = append(b, ',')
	b = appendWord(b, `"source":`, c.Source)
	b = appendWord(b, `"agentId":`, c.AgentID)
	b[len(b)-1] = '}'
	return b, nil
}

func appendCall(b []byte, path Path, attempt int) []byte {
	b = appendText(append(b, `,"path":`...), string(path))
	b = append(b, `,"attempt":`...)
	return strconv.AppendInt(b, int64(attempt), 10)
}

// appendCount writes a field that is left out when it is 0, and a comma.
func appendCount(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	b = append(b, name...)
	return append(strconv.AppendInt(b, n, 10), ',')
}

// appendWord writes a field that is left out when it is empty, and a comma.
func appendWord(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	b = append(b, name...)
	return append(appendText(b, text), ',')
}

// appendText writes a string as encoding/json does, which escapes more than appendString.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			raw, _ := json.Marshal(s) // a string has no error
			return append(b, raw...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// escapeHTML escapes the JSON from start on as encoding/json does when it copies it into a struct.
func escapeHTML(b []byte, start int) []byte {
	for _, c := range b[start:] {
		if c == '<' || c == '>' || c == '&' || c == 0xe2 { // with which the line separators begin
			var escaped bytes.Buffer
			json.HTMLEscape(&escaped, b[start:])
			return append(b[:start], escaped.Bytes()...)
		}
	}
	return b
}
