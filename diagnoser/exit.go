package diagnoser

import "github.com/acrlab/acrlab/diagnosis"

// ExitCode is what a command that printed d exits with: 0 healthy, 1 a cause
// was found, 2 it could not be decided. 3, wrong usage, is the caller's.
func ExitCode(d *diagnosis.Diagnosis) int {
	switch {
	case d == nil:
		return 2
	case len(d.Findings) > 0:
		return 1
	case d.Healthy:
		return 0
	}
	return 2
}
