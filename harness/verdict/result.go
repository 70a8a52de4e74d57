package verdict

import (
	"time"

	"github.com/acrlab/acrlab/diagnosis"
)

// Mode is what a diagnoser had at hand.
type Mode string

const (
	// WithAzure: credentials to read Azure Resource Manager.
	WithAzure Mode = "with-azure"
	// NetworkOnly: no credentials.
	NetworkOnly Mode = "network-only"
)

// Result is how one scenario went in one mode. Exactly one of Verdict, Error
// and Skipped is set.
type Result struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Mode  Mode   `json:"mode,omitempty"`
	// Diagnoser is the name of the diagnoser that was judged.
	Diagnoser string `json:"diagnoser,omitempty"`
	// Expected causes; none for a healthy scenario.
	Expected []diagnosis.Cause `json:"expected"`
	// Phases in the order in which they ran.
	Phases []Phase `json:"phases"`
	// Took is the time of all phases together, in nanoseconds.
	Took      time.Duration        `json:"took"`
	Verdict   *Verdict             `json:"verdict,omitempty"`
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis,omitempty"`
	// Client is what the pulling client said, before the diagnosis.
	Client *Symptom `json:"client,omitempty"`
	// Healed says how the remedy was carried out; nil when there was none to.
	Healed *Healing `json:"healed,omitempty"`
	// Error says why there is no verdict: the harness could not build the
	// network, or the fault was not there. It is not the diagnoser's failure.
	Error string `json:"error,omitempty"`
	// Skipped says why the scenario did not run here.
	Skipped string `json:"skipped,omitempty"`
}

// Phase is a stretch of a run: build, healthy pull, break, prove, client,
// diagnose, heal.
type Phase struct {
	Name string `json:"name"`
	// Took in nanoseconds.
	Took  time.Duration `json:"took"`
	Error string        `json:"error,omitempty"`
}

// Symptom is what a client said.
type Symptom struct {
	Client   string `json:"client"` // "crane", "docker pull", …
	ExitCode int    `json:"exitCode"`
	Output   string `json:"output"` // the last lines
}

// How a remedy was carried out.
const (
	// ByAZ: the commands as they are printed, by the Azure CLI on the client host.
	ByAZ = "az"
	// ByChanges: the machine-readable changes, by the harness.
	ByChanges = "changes"
)

// Healing is how the remedy of a diagnosis was carried out.
type Healing struct {
	By string `json:"by"` // "az" or "changes"
	// Resolver is the name server that az asked because the client's own is at
	// fault.
	Resolver string `json:"resolver,omitempty"`
	// Because says why the changes were used although az was asked for.
	Because string `json:"because,omitempty"`
}

// Outcome is the one word of a result.
func (r Result) Outcome() string {
	switch {
	case r.Error != "":
		return "error"
	case r.Skipped != "":
		return "skipped"
	case r.Verdict != nil:
		return string(r.Verdict.Grade)
	}
	return "error"
}

// Reason is why a result is not right; for a right one, what was found.
func (r Result) Reason() string {
	switch {
	case r.Error != "":
		return r.Error
	case r.Skipped != "":
		return r.Skipped
	case r.Verdict != nil:
		return r.Verdict.Reason
	}
	return "there is no verdict"
}

// Summary counts results.
type Summary struct {
	Right      int `json:"right"`
	Incomplete int `json:"incomplete"`
	Wrong      int `json:"wrong"`
	Errors     int `json:"errors"`
	Skipped    int `json:"skipped"`
	// Took is the wall time of the run in nanoseconds, as given to Summarize.
	Took time.Duration `json:"took"`
}

// Summarize counts results of a run that took so long.
func Summarize(results []Result, took time.Duration) Summary {
	s := Summary{Took: took}
	for _, r := range results {
		switch r.Outcome() {
		case string(Right):
			s.Right++
		case string(Incomplete):
			s.Incomplete++
		case string(Wrong):
			s.Wrong++
		case "skipped":
			s.Skipped++
		default:
			s.Errors++
		}
	}
	return s
}

// ExitCode of a run: 0 all verdicts right, 1 a verdict not right, 3 a scenario
// without a verdict because of the harness. An error outweighs a wrong verdict.
func (s Summary) ExitCode() int {
	switch {
	case s.Errors > 0:
		return 3
	case s.Wrong+s.Incomplete > 0:
		return 1
	}
	return 0
}
