// Package verdict holds a diagnosis against what a scenario expects, and writes
// down how a whole run went.
//
// It knows the contract (package diagnosis) and the expectation of a scenario;
// it must not know how a diagnosis was made, nor how a network was built.
package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/topology"
)

// Grade is how good a diagnosis is.
type Grade string

const (
	// Right: exactly what the scenario expects.
	Right Grade = "right"
	// Incomplete: nothing false was said, and not all that could be: a cause
	// that was listed but not proven, or fewer look-alikes than there are.
	Incomplete Grade = "incomplete"
	// Wrong: a cause that is not there, a cause missed, or no usable diagnosis.
	Wrong Grade = "wrong"
)

// Verdict is a grade with its reason in one sentence without a full stop.
// The reason of a right verdict says what was found.
type Verdict struct {
	Grade  Grade  `json:"grade"`
	Reason string `json:"reason"`
}

// Judge holds a diagnosis against what is expected. azureAccess says whether the
// diagnoser could read Azure. problem says why there is no diagnosis, in words
// that continue "the diagnoser gave no diagnosis:"; d may be nil then.
//
// With Azure access the proven causes must be exactly the expected ones and
// nothing else may be listed: an extra cause is as wrong as a missing one.
// Without it the same holds, unless the scenario says which causes look alike
// from the network: then exactly those must be listed and none be proven.
func Judge(exp topology.Expect, azureAccess bool, d *diagnosis.Diagnosis, problem error) Verdict {
	if problem != nil {
		return wrong("the diagnoser gave no diagnosis: %s", oneLine(problem.Error()))
	}
	if d == nil {
		return wrong("the diagnoser gave no diagnosis")
	}
	if err := diagnosis.Validate(d); err != nil {
		return wrong("the diagnosis breaks the contract: %s", oneLine(err.Error()))
	}
	said := statementOf(d)
	if len(exp.Causes) == 0 {
		return judgeHealthy(d, said)
	}
	if d.Healthy {
		return wrong("says that the network is healthy, missing %s", list(exp.Causes))
	}
	if len(said.all) == 0 {
		return wrong("names no cause, missing %s", list(exp.Causes))
	}
	if !azureAccess && exp.WithoutAzureAccess != nil && len(exp.WithoutAzureAccess.OneOf) > 0 {
		return judgeCandidates(exp, said)
	}
	return judgeProven(exp.Causes, said)
}

func judgeHealthy(d *diagnosis.Diagnosis, said statement) Verdict {
	switch {
	case len(said.all) > 0:
		return wrong("the network is healthy, yet it lists %s", said.describe(said.all))
	case !d.Healthy:
		return incomplete("finds no fault, but does not say that the network is healthy%s", omissions(d))
	}
	return Verdict{Right, "healthy"}
}

func omissions(d *diagnosis.Diagnosis) string {
	if len(d.NotChecked) == 0 {
		return ""
	}
	return fmt.Sprintf(" (not checked: %s, because %s)", d.NotChecked[0].Check, d.NotChecked[0].Because)
}

func judgeProven(want []diagnosis.Cause, said statement) Verdict {
	missing, extra := minus(want, said.all), minus(said.all, want)
	switch {
	case len(missing) > 0 && len(extra) > 0:
		return wrong("lists %s instead of %s", said.describe(extra), list(missing))
	case len(missing) > 0:
		return wrong("misses %s", list(missing))
	case len(extra) > 0:
		return wrong("lists %s besides what is there (%s)", said.describe(extra), list(want))
	}
	if unproven := minus(want, said.proven); len(unproven) > 0 {
		return incomplete("%s is there and can be proven, but is listed as %s only", list(unproven), said.certainty[unproven[0]])
	}
	return Verdict{Right, list(want) + ", proven"}
}

func judgeCandidates(exp topology.Expect, said statement) Verdict {
	candidates := exp.WithoutAzureAccess.OneOf
	extra, missing := minus(said.all, candidates), minus(candidates, said.all)
	falseProof := minus(said.proven, exp.Causes)
	lost := minus(exp.Causes, said.all)
	switch {
	case len(falseProof) > 0:
		return wrong("claims %s as proven, but the cause is %s", list(falseProof), list(exp.Causes))
	case len(extra) > 0 && len(lost) > 0:
		return wrong("lists %s instead of %s", said.describe(extra), list(candidates))
	case len(extra) > 0:
		return wrong("lists %s, which does not look like this (%s)", said.describe(extra), list(candidates))
	case len(lost) > 0:
		return wrong("lists %s but not what is there (%s)", said.describe(said.all), list(lost))
	case len(said.proven) > 0 && len(candidates) > 1:
		return incomplete("claims %s as proven, but without Azure access %s look alike", list(said.proven), list(candidates))
	case len(missing) > 0:
		return incomplete("lists %s, but %s would look the same", said.describe(said.all), list(missing))
	}
	return Verdict{Right, "one of " + list(candidates)}
}

// statement is what a diagnosis says of causes, each once, the surest word counting.
type statement struct {
	all, proven []diagnosis.Cause // sorted
	certainty   map[diagnosis.Cause]diagnosis.Certainty
}

func statementOf(d *diagnosis.Diagnosis) statement {
	s := statement{certainty: map[diagnosis.Cause]diagnosis.Certainty{}}
	rank := func(c diagnosis.Certainty) int { return slices.Index(diagnosis.Certainties(), c) }
	for _, f := range d.Findings {
		if before, ok := s.certainty[f.Cause]; !ok || rank(f.Certainty) < rank(before) {
			s.certainty[f.Cause] = f.Certainty
		}
	}
	for c, certainty := range s.certainty {
		s.all = append(s.all, c)
		if certainty == diagnosis.Proven {
			s.proven = append(s.proven, c)
		}
	}
	slices.Sort(s.all)
	slices.Sort(s.proven)
	return s
}

// describe lists causes with their certainty: "a (proven), b (possible)".
func (s statement) describe(causes []diagnosis.Cause) string {
	words := make([]string, len(causes))
	for i, c := range causes {
		words[i] = fmt.Sprintf("%s (%s)", c, s.certainty[c])
	}
	return strings.Join(words, ", ")
}

// minus is a without b, sorted.
func minus(a, b []diagnosis.Cause) []diagnosis.Cause {
	var out []diagnosis.Cause
	for _, c := range a {
		if !slices.Contains(b, c) {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func list(causes []diagnosis.Cause) string {
	words := make([]string, len(causes))
	for i, c := range causes {
		words[i] = string(c)
	}
	return strings.Join(words, ", ")
}

func wrong(format string, args ...any) Verdict {
	return Verdict{Wrong, fmt.Sprintf(format, args...)}
}

func incomplete(format string, args ...any) Verdict {
	return Verdict{Incomplete, fmt.Sprintf(format, args...)}
}

// oneLine keeps a reason on one line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(cmp.Or(strings.TrimSpace(s), "no reason given"), func(r rune) bool {
		return r == '\n' || r == '\r'
	}), "; ")
}
