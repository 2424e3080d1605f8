package engine

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/runs"
)

// readInputs reads what a run is started with against what its flow asks for. The error names everything that is wrong at once.
func readInputs(p *plan.Plan, given map[string]any) (map[string]any, error) {
	var missing, wrong []string
	inputs := make(map[string]any, len(given))
	for i := range p.Inputs {
		in := &p.Inputs[i]
		v, ok := given[in.Name]
		if !ok {
			if in.Required {
				missing = append(missing, in.Name)
			}
			continue
		}
		value, err := readInput(in, v)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		inputs[in.Name] = value
	}
	for name := range given {
		if !slices.ContainsFunc(p.Inputs, func(in plan.Input) bool { return in.Name == name }) {
			wrong = append(wrong, fmt.Sprintf("there is no input named `%s`", name))
		}
	}
	if len(missing) > 0 {
		wrong = append(wrong, "missing: "+strings.Join(missing, ", "))
	}
	if len(wrong) > 0 {
		sort.Strings(wrong)
		return nil, fmt.Errorf("%w: %s", runs.ErrInput, strings.Join(wrong, "; "))
	}
	return inputs, nil
}

func readInput(in *plan.Input, v any) (any, error) {
	v, err := normal(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.Name, err)
	}
	value, problems := eval.Read(in.Type, v)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s", in.Name, strings.Join(problems, ", "))
	}
	for _, must := range in.Musts {
		if value == nil {
			break
		}
		program, err := eval.Compile(must.Expr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in.Name, err)
		}
		ok, err := program.Eval(map[string]any{in.Name: value})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in.Name, err)
		}
		if ok != true {
			why := must.Else
			if why == "" {
				why = "must " + must.Expr
			}
			return nil, fmt.Errorf("%s: %s", in.Name, why)
		}
	}
	return value, nil
}
