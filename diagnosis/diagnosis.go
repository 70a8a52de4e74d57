// Package diagnosis is the contract between a diagnoser and whoever judges or
// reads its answer: what a diagnosis is, the closed set of causes it is written
// in, and the JSON that carries it.
//
// It knows nothing of how a diagnosis is made (package diagnoser), of the
// networks it is made in (package harness) or of what answers there (package
// fakes): all of them know it.
package diagnosis

// Schema names the version of the JSON form. A consumer refuses any other.
const Schema = "acrlab.diagnosis/v1"

// Diagnosis is what a diagnoser says about one registry from one place.
type Diagnosis struct {
	// Schema is always the constant [Schema].
	Schema string `json:"schema"`
	// Registry is the login server that was diagnosed, e.g. "myregistry.azurecr.io".
	Registry string `json:"registry"`
	// Healthy says that an image can be pulled from here. It is true exactly
	// when there is no finding and the diagnoser could decide.
	Healthy bool `json:"healthy"`
	// Findings are the causes, the one to mend first at the front.
	Findings []Finding `json:"findings"`
	// Observations are facts that bear on no finding but that a reader wants:
	// the address this place leaves from, the resolver in use.
	Observations []Observation `json:"observations"`
	// NotChecked says what was left out, and why.
	NotChecked []Omission `json:"notChecked,omitempty"`
}

// Certainty is how sure a diagnoser is of a finding.
type Certainty string

const (
	// Proven: the evidence admits no other cause of the taxonomy.
	Proven Certainty = "proven"
	// Probable: another cause would need a coincidence.
	Probable Certainty = "probable"
	// Possible: one of several causes that look alike from here.
	Possible Certainty = "possible"
)

// Finding is one cause with what proves it and what mends it.
type Finding struct {
	Cause     Cause     `json:"cause"`
	Certainty Certainty `json:"certainty"`
	// Summary is one sentence that a person understands without the rest.
	Summary  string      `json:"summary"`
	Evidence []Evidence  `json:"evidence"`
	Excluded []Exclusion `json:"excluded,omitempty"`
	// DecidedBy names the read or question that would turn a possible finding
	// into a proven or an excluded one. Empty for a proven finding.
	DecidedBy string `json:"decidedBy,omitempty"`
	Remedy    Remedy `json:"remedy"`
}

// Evidence is one thing that a probe saw and what follows from it.
type Evidence struct {
	Probe string `json:"probe"` // "dns", "tcp", "tls", "challenge", "token", "manifest", "layer", "proxy", "daemon", "egress", "azure"
	Saw   string `json:"saw"`
	Means string `json:"means"`
}

// Exclusion is a look-alike that was ruled out.
type Exclusion struct {
	Cause   Cause  `json:"cause"`
	Because string `json:"because"`
}

// Observation is a fact about the place.
type Observation struct {
	Probe string `json:"probe"`
	Saw   string `json:"saw"`
}

// Omission is a check that was not made.
type Omission struct {
	Check   string `json:"check"`
	Because string `json:"because"`
}
