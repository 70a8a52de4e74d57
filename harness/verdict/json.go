package verdict

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/acrlab/acrlab/diagnosis"
)

// ReportSchema names the version of the JSON report.
const ReportSchema = "acrlab.report/v1"

type report struct {
	Schema  string   `json:"schema"`
	Summary Summary  `json:"summary"`
	Results []Result `json:"results"`
}

// WriteJSON writes results and summary as one indented JSON document. Durations
// are in nanoseconds.
func WriteJSON(w io.Writer, results []Result, s Summary) error {
	out := report{Schema: ReportSchema, Summary: s, Results: make([]Result, len(results))}
	for i, r := range results {
		// Lists without entries are [], so that a reader need not ask for null.
		if r.Expected == nil {
			r.Expected = []diagnosis.Cause{}
		}
		if r.Phases == nil {
			r.Phases = []Phase{}
		}
		out.Results[i] = r
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("writing the JSON report: %w", err)
	}
	return nil
}
