// Package program gives tests the acrlab program, for running it on the hosts
// of a network.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Variable names the environment variable that holds the path of a program
// that was built already.
const Variable = "ACRLAB_BIN"

// Main builds the program, calls run with its path and removes it again. It
// returns run's exit code.
func Main(run func(path string) int) int {
	if path := os.Getenv(Variable); path != "" {
		return run(path)
	}
	dir, err := os.MkdirTemp("", "acrlab-program-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the program:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "acrlab")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/acrlab/acrlab/cmd/acrlab").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building acrlab: %v\n%s", err, out)
		return 1
	}
	return run(path)
}
