package registry

import (
	"fmt"
	"slices"
	"strings"
)

// grant is one entry of a token's access claim, and one resource of a scope.
// https://distribution.github.io/distribution/spec/auth/scope/
type grant struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func (g grant) String() string { return g.Type + ":" + g.Name + ":" + strings.Join(g.Actions, ",") }

// parseScopes reads scope parameters. Each holds resources separated by blanks:
// a type up to the first colon, actions after the last.
func parseScopes(params []string) ([]grant, error) {
	var out []grant
	for _, p := range params {
		for _, s := range strings.Fields(p) {
			first, last := strings.Index(s, ":"), strings.LastIndex(s, ":")
			if first <= 0 || last <= first+1 || last == len(s)-1 {
				return nil, fmt.Errorf("scope %q is not type:name:actions", s)
			}
			g := grant{Type: s[:first], Name: s[first+1 : last]}
			for a := range strings.SplitSeq(s[last+1:], ",") {
				if a == "" {
					return nil, fmt.Errorf("scope %q has an empty action", s)
				}
				if !slices.Contains(g.Actions, a) {
					g.Actions = append(g.Actions, a)
				}
			}
			out = append(out, g)
		}
	}
	return out, nil
}

// covers says whether held grants together allow everything in need. Whoever
// may pull may also list tags: clients such as crane list with a pull scope.
func covers(held, need []grant) bool {
	for _, n := range need {
		for _, action := range n.Actions {
			if !slices.ContainsFunc(held, func(h grant) bool {
				return h.Type == n.Type && h.Name == n.Name && (slices.Contains(h.Actions, action) ||
					slices.Contains(h.Actions, "*") ||
					action == "metadata_read" && slices.Contains(h.Actions, "pull"))
			}) {
				return false
			}
		}
	}
	return true
}

// anonymousGrants is the part of a wish that needs no credentials on a registry
// with anonymous pull: reading repositories, not the catalog.
// https://learn.microsoft.com/azure/container-registry/anonymous-pull-access
func anonymousGrants(wish []grant) []grant {
	var out []grant
	for _, g := range wish {
		if g.Type != "repository" {
			continue
		}
		g.Actions = slices.DeleteFunc(slices.Clone(g.Actions), func(a string) bool {
			return a != "pull" && a != "metadata_read"
		})
		if len(g.Actions) > 0 {
			out = append(out, g)
		}
	}
	return out
}
