//go:build !unix

package main

import (
	"errors"
	"os"
)

// spawn is not to be had here.
func spawn(*os.File, *os.File, []string, ...string) error {
	return errors.New("this system has no work in the background")
}

func announce() {}

func keepReady() {}
