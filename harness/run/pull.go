package run

import (
	"bytes"
	"context"
	"fmt"

	"github.com/acrlab/acrlab/harness/fabric"
)

// pulled is one try to pull.
type pulled struct {
	who      string // "the shell" or "the container engine"
	exitCode int
	output   string
}

// pull tries to pull as the user's shell would and, where its environment is
// another, as the container engine would.
func (r *scenario) pull(ctx context.Context) ([]pulled, error) {
	if len(r.o.Puller) == 0 {
		return nil, nil
	}
	tries := []pulled{{who: "the shell"}}
	if !r.sameEnvironment() {
		tries = append(tries, pulled{who: "the container engine"})
	}
	for i := range tries {
		var stdout, stderr bytes.Buffer
		cmd := &fabric.Command{Args: append(append([]string{}, r.o.Puller...), r.world.Image()),
			Daemon: i == 1, Stdout: &stdout, Stderr: &stderr}
		if err := r.world.Run(ctx, r.world.Network().Client, cmd); err != nil {
			return nil, fmt.Errorf("%s: %w", tries[i].who, err)
		}
		tries[i].exitCode, tries[i].output = cmd.ExitCode, lastLines(stdout.String()+stderr.String())
	}
	return tries, nil
}
