package run

import "github.com/slopstudios/slop/lang/types"

// Blobs calls use with each hash that the fact names: that of its plan, and those of large texts and files. As long as a fact names it, bytes are kept.
func (f Fact) Blobs(use func(hash string)) {
	switch b := f.Body.(type) {
	case *Started:
		use(b.Plan)
		for _, v := range b.Inputs {
			blobsOf(v, use)
		}
	case *CallDone:
		blobsOf(b.Value, use)
	case *CallFailed:
		blobsOf(b.Answer, use)
	case *Answered:
		blobsOf(b.Value, use)
	case *Computed:
		blobsOf(b.Value, use)
	case *Finished:
		blobsOf(b.Value, use)
	}
}

func blobsOf(v any, use func(string)) {
	switch v := v.(type) {
	case types.Large:
		use(v.SHA256)
	case types.FileValue:
		if v.Data == nil && v.SHA256 != "" {
			use(v.SHA256)
		}
	case []any:
		for _, x := range v {
			blobsOf(x, use)
		}
	case types.Parts:
		blobsOf([]any(v), use)
	case map[string]any:
		for _, x := range v {
			blobsOf(x, use)
		}
	}
}
