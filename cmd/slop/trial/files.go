package trial

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/slopstudios/slop/lang/types"
)

// files puts files where a type wants them and a test gives their text: "some text" stands for a file of that content. Their names are made up, counted
// over the whole test. What is no text stays as it is, and reading it says what is wrong.
func (w *world) files(t types.Type, v any) any {
	switch given := v.(type) {
	case string:
		if t.Kind != types.File {
			return v
		}
		w.made++
		sum := sha256.Sum256([]byte(given))
		return types.FileValue{
			Name: fmt.Sprintf("file%d.txt", w.made), Size: int64(len(given)), Type: "text/plain", SHA256: hex.EncodeToString(sum[:]), Data: []byte(given),
		}
	case []any:
		if t.Kind != types.List {
			return v
		}
		out := make([]any, len(given))
		for i, e := range given {
			out[i] = w.files(t.Item(), e)
		}
		return out
	case map[string]any:
		if t.Kind != types.Record {
			return v
		}
		out := make(map[string]any, len(given))
		for name, e := range given {
			out[name] = e
		}
		for _, f := range t.Fields {
			if e, ok := given[f.Name]; ok {
				out[f.Name] = w.files(f.Type, e)
			}
		}
		return out
	}
	return v
}
