package topology

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"

	"github.com/acrlab/acrlab/harness/prove/sentence"
)

var articleSection = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// check validates the whole scenario; problems are added to d.
func (s *Scenario) check(d *document) {
	s.checkTopologies(d)
	at := func(steps ...string) *token.Position {
		pos, _ := d.place(steps)
		return pos
	}
	if strings.TrimSpace(s.Title) == "" {
		d.problem(at("title"), "title is missing; say in one sentence what is wrong")
	} else if strings.Contains(s.Title, "\n") {
		d.problem(at("title"), "the title is more than one line")
	}
	if s.Article != "" && !articleSection.MatchString(s.Article) {
		d.problem(at("article"), "article is %q; want the anchor of a section, like configure-vnet-access", s.Article)
	}
	s.checkExpect(d, at)
	for i, text := range s.Prove {
		if _, err := sentence.Parse(text); err != nil {
			d.problem(at("prove", fmt.Sprintf("[%d]", i)), "%v", err)
		}
	}
	s.checkKind(d, at)
}

// checkKind tells healthy scenarios from broken ones and wants each whole.
func (s *Scenario) checkKind(d *document, at func(...string) *token.Position) {
	_, changed := d.tree["change"].(map[string]any)
	changed = changed && !reflect.DeepEqual(d.tree["change"], map[string]any{})
	switch {
	case len(s.Expect.Causes) == 0 && changed:
		d.problem(at("change"), "there is a change but no expect.causes; name what it breaks, or move it to setup if nothing breaks")
	case len(s.Expect.Causes) == 0:
		if len(s.Symptoms) > 0 {
			d.problem(at("symptoms"), "a healthy scenario (no expect.causes) has no symptoms")
		}
	default:
		if !changed {
			d.problem(at("expect", "causes"), "causes are expected but there is no change; break something or leave expect.causes out")
		}
		if len(s.Prove) == 0 {
			d.problem(at("expect", "causes"), "there is no prove; add at least one sentence that holds only when the fault is there")
		}
		if len(s.Symptoms) == 0 {
			d.problem(at("expect", "causes"), "there are no symptoms; name those under which a user meets the fault, S1 to S11")
		}
	}
}

func (s *Scenario) checkExpect(d *document, at func(...string) *token.Position) {
	for i, c := range s.Expect.Causes {
		if slices.Contains(s.Expect.Causes[:i], c) {
			d.problem(at("expect", "causes", fmt.Sprintf("[%d]", i)), "%s is expected twice", c)
		}
	}
	if w := s.Expect.WithoutAzureAccess; w != nil {
		s.checkCandidates(d, at, *w)
	}
	for _, client := range sortedKeys(s.Expect.Client) {
		pos := at("expect", "client", client)
		if !slices.Contains(clients(), client) {
			d.problem(pos, "unknown client %q%s", client, suggestValue(client, clients()))
		}
		if _, err := regexp.Compile(s.Expect.Client[client]); err != nil {
			d.problem(pos, "the expression for %s is no regular expression (RE2): %v", client, err)
		}
	}
}

func (s *Scenario) checkCandidates(d *document, at func(...string) *token.Position, w Candidates) {
	pos := at("expect", "withoutAzureAccess", "oneOf")
	if len(w.OneOf) == 0 {
		d.problem(pos, "oneOf is empty; leave withoutAzureAccess out when the network alone proves the cause")
		return
	}
	if len(s.Expect.Causes) == 0 {
		d.problem(pos, "withoutAzureAccess without expect.causes")
	}
	for i, c := range w.OneOf {
		if slices.Contains(w.OneOf[:i], c) {
			d.problem(at("expect", "withoutAzureAccess", "oneOf", fmt.Sprintf("[%d]", i)), "%s is there twice", c)
		}
	}
	for _, c := range s.Expect.Causes {
		if !slices.Contains(w.OneOf, c) {
			d.problem(pos, "oneOf does not hold the expected cause %s", c)
		}
	}
}

// checkTopologies validates before and after the change; what was wrong before
// is said once.
func (s *Scenario) checkTopologies(d *document) {
	said := map[string]bool{}
	for _, stage := range []struct {
		topology *Topology
		keys     []string // where to look for the place, nearest first
	}{
		{&s.Healthy, []string{"setup"}},
		{&s.Broken, []string{"change", "setup"}},
	} {
		for _, f := range stage.topology.faults() {
			text := fmt.Sprintf("%s: %s", f.at, f.message)
			if said[text] {
				continue
			}
			said[text] = true
			d.problem(d.nearest(f.at, stage.keys), "%s", text)
		}
	}
}

// nearest is the place of at under one of the top keys: the one that knows the
// longest part of it, the earlier key winning ties.
func (d *document) nearest(at path, keys []string) *token.Position {
	var best *token.Position
	depth := 0
	for _, k := range keys {
		if pos, n := d.place(path{k}.with(at...)); pos != nil && n > depth {
			best, depth = pos, n
		}
	}
	if best == nil {
		best, _ = d.place(path{"base"})
	}
	return best
}

// IsHealthy says that nothing is broken in this scenario.
func (s *Scenario) IsHealthy() bool { return len(s.Expect.Causes) == 0 }
