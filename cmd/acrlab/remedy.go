package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/acrlab/acrlab/harness/az"
	"github.com/acrlab/acrlab/harness/verdict"
)

// azureCLI is what remedies are carried out with; nil: by their changes. With
// auto it says on stderr why there is none.
func (f runFlags) azureCLI(ctx context.Context, stderr io.Writer) (*az.CLI, error) {
	if f.remedy == "changes" {
		return nil, nil
	}
	cli, err := az.Find(ctx)
	if missing, ok := errors.AsType[*az.Missing](err); ok && f.remedy == "auto" {
		fmt.Fprintf(stderr, "acrlab: remedies are carried out by their changes: %s\n", missing)
		return nil, nil
	}
	return cli, err
}

// writeHealings says how many remedies az carried out as they are printed, and
// why it did not the others.
func writeHealings(w io.Writer, results []verdict.Result) error {
	byAZ, reasons := 0, []string{}
	others := map[string][]string{} // reason → scenarios
	for _, r := range results {
		switch {
		case r.Healed == nil:
		case r.Healed.By == verdict.ByAZ:
			byAZ++
		default:
			if others[r.Healed.Because] == nil {
				reasons = append(reasons, r.Healed.Because)
			}
			if !slices.Contains(others[r.Healed.Because], r.ID) {
				others[r.Healed.Because] = append(others[r.Healed.Because], r.ID)
			}
		}
	}
	if _, err := fmt.Fprintf(w, "remedies run as printed, by az: %d\n", byAZ); err != nil {
		return err
	}
	for _, reason := range reasons {
		if _, err := fmt.Fprintf(w, "remedies by their changes: %s\n", reason); err != nil {
			return err
		}
		for _, id := range others[reason] {
			if _, err := fmt.Fprintf(w, "    %s\n", id); err != nil {
				return err
			}
		}
	}
	return nil
}
