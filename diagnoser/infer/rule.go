package infer

import (
	"slices"

	"github.com/acrlab/acrlab/diagnosis"
)

// family is the stage of a path that a situation breaks.
type family string

const (
	familyName    family = "name"    // resolution
	familyProxy   family = "proxy"   // the hop through a proxy
	familyPackets family = "packets" // TCP
	familyTLS     family = "tls"
	familyRules   family = "rules" // the registry's network rules
	familyService family = "service"
)

// situation is a pattern of network evidence and the causes that explain it.
type situation struct {
	name   string
	family family
	// seen recognises the pattern on one path.
	seen func(*view) (sighting, bool)
	// causes are tried all; those that Azure's answers leave are reported.
	causes []candidate
}

// sighting is how a situation shows itself.
type sighting struct {
	evidence []diagnosis.Evidence
	excluded []diagnosis.Exclusion
	// weak lowers a lone cause from proven to probable: the reason.
	weak string
}

// candidate is one cause that would explain a situation.
type candidate struct {
	cause diagnosis.Cause
	// hidden causes are named only when Azure confirms them: from the network
	// alone they are too far-fetched to list.
	hidden bool
	// applies narrows the situation; nil: always.
	applies func(*view) bool
	// azure is the read that decides; nil: the network evidence is enough.
	azure func(*view) ruling
	// decidedBy names that read for someone who has the rights.
	decidedBy string
	summary   func(*view) string
	remedy    func(*view) diagnosis.Remedy
}

// ruling is what Azure's answer makes of a candidate.
type ruling struct {
	verdict verdict
	// saw is Azure's fact; it becomes evidence of a confirmed cause and the
	// reason against an excluded one.
	saw string
}

type verdict int

const (
	unknown verdict = iota
	confirmed
	excluded
)

func confirm(saw string) ruling { return ruling{confirmed, saw} }
func exclude(saw string) ruling { return ruling{excluded, saw} }

var unread = ruling{}

// findings weighs the candidates of a recognised situation.
func (m matched) findings() []diagnosis.Finding {
	var sure, open []candidate
	saw := map[diagnosis.Cause]string{}
	against := slices.Clone(m.sighting.excluded)
	listed := 0
	for _, c := range m.situation.causes {
		if c.applies != nil && !c.applies(m.view) {
			continue
		}
		if !c.hidden {
			listed++
		}
		r := unread
		if c.azure != nil && m.view.inv != nil {
			r = c.azure(m.view)
		}
		switch {
		case r.verdict == confirmed:
			sure = append(sure, c)
			saw[c.cause] = r.saw
		case r.verdict == excluded:
			against = append(against, diagnosis.Exclusion{Cause: c.cause, Because: r.saw})
		case !c.hidden:
			open = append(open, c)
		}
	}
	switch {
	case len(sure) > 0:
		for _, c := range open {
			against = append(against, diagnosis.Exclusion{Cause: c.cause, Because: "not needed to explain what was seen"})
		}
		return m.report(sure, diagnosis.Proven, against, saw)
	case len(open) == 1 && listed == 1:
		if m.sighting.weak != "" {
			return m.report(open, diagnosis.Probable, against, saw)
		}
		return m.report(open, diagnosis.Proven, against, saw)
	case len(open) == 1:
		return m.report(open, diagnosis.Probable, against, saw)
	case len(open) == 0:
		// Azure's answers rule out every explanation: they contradict the
		// network. Saying so beats silence.
		return m.report(m.listed(), diagnosis.Possible, nil, saw)
	}
	return m.report(open, diagnosis.Possible, against, saw)
}

func (m matched) listed() []candidate {
	var out []candidate
	for _, c := range m.situation.causes {
		if !c.hidden && (c.applies == nil || c.applies(m.view)) {
			out = append(out, c)
		}
	}
	return out
}

func (m matched) report(cs []candidate, certainty diagnosis.Certainty, against []diagnosis.Exclusion, saw map[diagnosis.Cause]string) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range cs {
		f := diagnosis.Finding{
			Cause: c.cause, Certainty: certainty,
			Summary: c.summary(m.view), Evidence: slices.Clone(m.sighting.evidence),
			Excluded: slices.Clone(against), Remedy: c.remedy(m.view),
		}
		if t := saw[c.cause]; t != "" {
			means := "this alone explains what the network shows"
			if len(cs) > 1 {
				means = "this is one of the things to mend"
			}
			f.Evidence = append(f.Evidence, diagnosis.Evidence{Probe: "azure", Saw: t, Means: means})
		}
		if certainty == diagnosis.Possible {
			f.Summary = "Possibly: " + f.Summary
		}
		if certainty != diagnosis.Proven {
			f.DecidedBy = c.decidedBy
			if f.DecidedBy == "" {
				f.DecidedBy = m.sighting.weak
			}
		}
		out = append(out, f)
	}
	return out
}
