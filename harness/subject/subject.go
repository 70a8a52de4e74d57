// Package subject runs a diagnoser under test: a black box that is started on
// a host, is told what cannot be pulled, and prints a diagnosis.
//
// It knows the diagnosis contract and how programs misbehave; it does not know
// scenarios, and never judges.
package subject

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/verdict"
)

// Diagnoser is a command that prints a diagnosis.
type Diagnoser struct {
	Name string
	// Command is the program with its arguments; the image reference
	// ("myregistry.azurecr.io/hello-world:latest") is appended.
	Command []string
	// Timeout after which the program is killed. Zero: 30 s.
	Timeout time.Duration
}

// maxOutput bounds what is kept of each stream: more is a program gone astray.
const maxOutput = 4 << 20

// Answer is what came out. Problem says why there is no diagnosis; the two are
// never both set.
type Answer struct {
	Diagnosis *diagnosis.Diagnosis
	Problem   error
	ExitCode  int
	Took      time.Duration
	Stderr    string
}

// Ask runs the diagnoser on a host. An error is the harness's own (the host
// could not run programs at all); whatever the diagnoser does wrong is a
// Problem of the answer.
func (d Diagnoser) Ask(ctx context.Context, w fabric.World, host, image string, env map[string]string) (Answer, error) {
	timeout := d.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var stdout, stderr limited
	cmd := &fabric.Command{Args: append(append([]string{}, d.Command...), image), Env: env, Stdout: &stdout, Stderr: &stderr}
	began := time.Now()
	err := w.Run(bounded, host, cmd)
	a := Answer{ExitCode: cmd.ExitCode, Took: time.Since(began), Stderr: stderr.String()}
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case errors.Is(bounded.Err(), context.DeadlineExceeded):
		a.Problem = fmt.Errorf("it did not end within %s and was killed", timeout)
		return a, nil
	case err != nil:
		return a, fmt.Errorf("asking the diagnoser %s: %w", d.Name, err)
	}
	a.Diagnosis, a.Problem = read(&stdout, a)
	return a, nil
}

func read(stdout *limited, a Answer) (*diagnosis.Diagnosis, error) {
	if stdout.cut {
		return nil, fmt.Errorf("it printed more than %d MiB", maxOutput>>20)
	}
	d, err := verdict.Read(stdout.Bytes(), a.ExitCode)
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, tail(a.Stderr))
	}
	return d, nil
}

// tail is the last line that a program wrote to stderr, as an appendix.
func tail(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	if last == "" {
		return ""
	}
	return "; stderr ends: " + last
}

// limited keeps the first maxOutput bytes and swallows the rest, so that a
// program that floods its output is neither blocked nor believed.
type limited struct {
	bytes.Buffer
	cut bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.Len(); len(p) > room {
		l.cut = true
		l.Buffer.Write(p[:room])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}
