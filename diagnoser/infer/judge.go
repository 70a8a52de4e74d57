// Package infer turns what the probes saw, and what Azure says if it could be
// asked, into causes.
//
// It is a table: each situation is a pattern of network evidence with the
// causes that would explain it, each cause with the read of Azure that decides
// and the remedy. One file holds one family. The package makes no observation
// of its own and does no I/O: it knows package probe's report and package
// inventory's data, and nothing of how either was had.
package infer

import (
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// Judgement is what follows from a report.
type Judgement struct {
	// Findings in the order of mending; empty when nothing is wrong or nothing
	// can be said.
	Findings     []diagnosis.Finding
	Observations []diagnosis.Observation
	NotChecked   []diagnosis.Omission
	// Works says that the evidence shows a path on which an image can be
	// pulled. Without findings and without Works it could not be decided.
	Works bool
}

// Judge finds the causes. inv is nil without access to Azure; then causes that
// share their network evidence are all listed as possible.
//
// A path is judged at its first broken stage: what fails behind it is a
// consequence until the stage is mended. The login server's path, the layers'
// path and the container engine's own path are judged each for itself, and a
// fault that one shares with another is reported once.
func Judge(r *probe.Report, inv *inventory.Inventory) Judgement {
	if r == nil {
		r = &probe.Report{}
	}
	s := newScene(r, inv)
	var out Judgement
	for _, c := range s.cases() {
		out.Findings = merge(out.Findings, c.findings())
	}
	out.Findings = merge(out.Findings, s.foresee(out.Findings))
	if out.Findings == nil {
		out.Findings = []diagnosis.Finding{}
	}
	out.Works = len(out.Findings) == 0 && s.works()
	out.Observations = s.observations()
	out.NotChecked = s.notChecked(out)
	return out
}

// merge adds findings whose cause is not listed yet; one that is listed keeps
// the greater certainty and gains the evidence.
func merge(have, add []diagnosis.Finding) []diagnosis.Finding {
	for _, f := range add {
		i := slices.IndexFunc(have, func(h diagnosis.Finding) bool { return h.Cause == f.Cause })
		if i < 0 {
			have = append(have, f)
			continue
		}
		if rank(f.Certainty) > rank(have[i].Certainty) {
			have[i].Certainty, have[i].DecidedBy = f.Certainty, f.DecidedBy
		}
		for _, e := range f.Evidence {
			if !slices.Contains(have[i].Evidence, e) {
				have[i].Evidence = append(have[i].Evidence, e)
			}
		}
		for _, c := range f.Remedy.Commands {
			if !slices.Contains(have[i].Remedy.Commands, c) {
				have[i].Remedy.Commands = append(have[i].Remedy.Commands, c)
			}
		}
		have[i].Remedy.Changes = mergeChanges(have[i].Remedy.Changes, f.Remedy.Changes)
	}
	return have
}

func rank(c diagnosis.Certainty) int {
	return slices.Index([]diagnosis.Certainty{diagnosis.Possible, diagnosis.Probable, diagnosis.Proven}, c)
}

// matched is a situation that was recognised on one path.
type matched struct {
	situation *situation
	view      *view
	sighting  sighting
}

// cases are the broken stages: the first of each path that is no consequence
// of another's.
func (s *scene) cases() []matched {
	var out []matched
	shellLogin := true // the shell's way to the login server is sound
	for _, l := range s.lanes {
		if l.daemon && !shellLogin && s.setting(false).HTTPSProxy != "" {
			// The engine goes its own way round a proxy that is itself broken:
			// what its way is worth shows when the proxy works. That it has no
			// proxy at all shows already.
			if seen, ok := seesDaemonDirect(l.login); ok {
				out = append(out, matched{&proxyTable[0], l.login, seen})
			}
			continue
		}
		var login *matched
		if m := recognise(loginTable, l.login); m != nil {
			out, login = append(out, *m), m
			shellLogin = shellLogin && l.daemon
		}
		if login != nil && login.situation.family == familyName {
			if m := s.behind(l.login); m != nil {
				out = append(out, *m)
			}
		}
		for _, d := range l.data {
			if login != nil && login.situation.family == familyName {
				break // names are wrong as a whole
			}
			m := recognise(dataTable, d)
			if m == nil || login != nil && login.explains(m) {
				continue
			}
			out = append(out, *m)
		}
		if login == nil {
			if m := recognise(serviceTable, l.login); m != nil {
				out = append(out, *m)
			}
		}
	}
	return out
}

// behind looks past a resolver that answers nobody: the address that another
// resolver gives was tried, and if packets to it are stopped as well, that is a
// fault of its own.
func (s *scene) behind(login *view) *matched {
	if !s.allFailed(login.dns) || login.daemon {
		return nil
	}
	for i := range s.r.Paths {
		p := &s.r.Paths[i]
		if p.Shell || p.Daemon || p.Via != probe.Direct || !strings.EqualFold(p.Host, login.host) || p.Resolved != probe.AzureDNS && p.Resolved != probe.PublicDNS {
			continue
		}
		v := *login
		v.path, v.siblings = p, []*probe.Path{p}
		v.login = &v
		if m := recognise(packetTable, &v); m != nil {
			return m
		}
	}
	return nil
}

// explains says that the layers' path fails by the same stage as the login
// server's: one device, one rule, one setting.
func (m *matched) explains(data *matched) bool {
	if m.situation.family == familyProxy {
		// By the proxy, or round it, like the login server.
		return data.view.proxied() == m.view.proxied() || data.situation.family == familyProxy
	}
	return m.situation.family == data.situation.family
}

func recognise(table []situation, v *view) *matched {
	if v == nil {
		return nil
	}
	for i := range table {
		if seen, ok := table[i].seen(v); ok {
			return &matched{&table[i], v, seen}
		}
	}
	return nil
}
