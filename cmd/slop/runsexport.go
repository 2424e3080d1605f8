package main

import (
	"context"
	"fmt"

	"github.com/slopstudios/slop/runtime/travel"
)

type runsExportCmd struct {
	runArg `embed:""`
}

func (runsExportCmd) Help() string {
	return "Prints a run as one JSON document on standard output: plan, facts, and the large values they name. slop runs replay reads it. No value of a secret is in it."
}

func (v *runsExportCmd) Run(c *console) error {
	ctx := context.Background()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	of := &travel.History{ID: h.id, Plan: h.plan, Facts: h.facts}
	blobs := map[string][]byte{}
	for _, hash := range of.Blobs() {
		if blobs[hash], err = st.store.GetBlob(ctx, hash); err != nil {
			return st.damaged(h.id, fmt.Errorf("a large value: %w", err))
		}
	}
	// What is stored holds no secret; should one have become a secret since, it stays here all the same.
	var known host
	if len(h.plan.Secrets) > 0 {
		pr, err := h.project()
		if err != nil {
			pr = noProject()
		}
		known.know(pr, h.plan.Secrets)
		for hash, data := range blobs {
			if text := string(data); known.redact(text) != text {
				return &exit{exitFailed, fmt.Errorf("run %s is not exported: the value of a secret stands in the large value %s", h.id, hash)}
			}
		}
	}
	data, err := travel.Export(of, blobs, known.redact)
	if err != nil {
		return &exit{exitFailed, err}
	}
	_, _ = c.out.Write(data) // standard output is gone: Main speaks of it
	return nil
}
