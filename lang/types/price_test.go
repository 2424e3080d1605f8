package types_test

import (
	"testing"

	"github.com/slopstudios/slop/lang/types"
)

// The price of a call is that of the model it names; where an agent has prices by model and that one is not among them, nobody knows it.
func TestPriceOf(t *testing.T) {
	one := types.Signature{Price: &types.Price{Output: 1}}
	many := one
	many.Prices = map[string]types.Price{"opus": {Output: 2}, "claude-opus-5": {Output: 3}}
	for _, tt := range []struct {
		of    types.Signature
		model string
		want  float64 // 0: unknown
	}{
		{one, "", 1}, {one, "anything", 1}, {many, "", 1}, {many, "opus", 2}, {many, "claude-opus-5", 3}, {many, "claude-opus-5-20260101", 3},
		{many, "claude-opus-5-1", 0}, {many, "claude-opus-5-2026010a", 0}, {many, "mystery", 0}, {types.Signature{}, "", 0},
	} {
		got := 0.0
		if p := tt.of.PriceOf(tt.model); p != nil {
			got = p.Output
		}
		if got != tt.want {
			t.Errorf("%q costs %v, want %v", tt.model, got, tt.want)
		}
	}
}
