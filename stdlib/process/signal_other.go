//go:build !unix

package process

import "os"

func signalName(*os.ProcessState) string { return "" }
