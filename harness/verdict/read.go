package verdict

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/acrlab/acrlab/diagnosis"
)

// Exit codes of a diagnoser.
const (
	ExitHealthy   = 0 // no fault
	ExitFound     = 1 // at least one finding
	ExitUndecided = 2 // neither
)

// Problems that Read and CheckExit find, for errors.Is.
var (
	ErrSilent   = errors.New("it printed nothing")
	ErrUnusable = errors.New("its output is no diagnosis")
	ErrExitCode = errors.New("its exit code contradicts its diagnosis")
	ErrNotJSON  = errors.New("its output is not JSON")
	ErrAbnormal = errors.New("it did not end by itself")
)

// Read makes a diagnosis, or the problem that Judge wants, of what a diagnoser
// printed and how it ended.
func Read(stdout []byte, exitCode int) (*diagnosis.Diagnosis, error) {
	if len(bytes.TrimSpace(stdout)) == 0 {
		return nil, fmt.Errorf("%w (exit code %d)", ErrSilent, exitCode)
	}
	if first := bytes.TrimSpace(stdout)[0]; first != '{' {
		return nil, fmt.Errorf("%w: it begins with %q", ErrNotJSON, first)
	}
	d, err := diagnosis.Decode(bytes.NewReader(stdout))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	if err := CheckExit(d, exitCode); err != nil {
		return nil, err
	}
	return d, nil
}

// CheckExit says whether an exit code contradicts the diagnosis that came with it.
func CheckExit(d *diagnosis.Diagnosis, exitCode int) error {
	if exitCode > 128 {
		return fmt.Errorf("%w: signal %d ended it", ErrAbnormal, exitCode-128)
	}
	want, why := ExitUndecided, "neither a finding nor a healthy network"
	switch {
	case d.Healthy:
		want, why = ExitHealthy, "a healthy network"
	case len(d.Findings) > 0:
		want, why = ExitFound, "a finding"
	}
	if exitCode != want {
		return fmt.Errorf("%w: %s means %d, it ended with %d", ErrExitCode, why, want, exitCode)
	}
	return nil
}
