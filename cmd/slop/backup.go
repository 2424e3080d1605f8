package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

type backupCmd struct {
	Force     bool `help:"Replace FILE when it is there."`
	stateFlag `embed:""`
	File      string `arg:"" optional:"" help:"Where the copy goes."`
}

func (backupCmd) Help() string {
	return "Runs may go on meanwhile; the copy is as of one moment. To use it, put it into an empty folder under the name runs.db and name that folder with --state."
}

func (v *backupCmd) Run(c *console) error {
	if v.File == "" {
		return usage("slop backup needs a file: slop backup FILE")
	}
	if _, err := os.Stat(v.File); err == nil && !v.Force {
		return usage("%s is there already; --force replaces it", v.File)
	}
	path, err := filepath.Abs(v.File)
	if err != nil {
		return err
	}
	ctx := context.Background()
	st, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	if v.Force {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return &exit{exitFailed, plainPathError(err)}
		}
	}
	if err := copyStore(ctx, st.store, path); err != nil {
		return &exit{exitFailed, fmt.Errorf("the copy was not made: %w", plainPathError(err))}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s: %s\n", v.File, size(info.Size()))
	return nil
}
