package graph

import (
	"bytes"
	"encoding/json"

	"github.com/slopstudios/slop/lang/plan"
)

// JSON is the graph as data: {name, nodes, edges}, indented, the same bytes for the same plan.
func JSON(p *plan.Plan) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(Of(p)); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
