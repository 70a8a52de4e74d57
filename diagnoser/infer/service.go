package infer

import (
	"fmt"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// serviceTable: the network is sound; the registry or the identity service
// says no.
var serviceTable = []situation{
	{
		name: "the registry throttles", family: familyService,
		seen: seesThrottled,
		causes: []candidate{{
			cause: diagnosis.Throttled429,
			summary: func(v *view) string {
				return fmt.Sprintf("%s throttles this client (429): more requests than its SKU allows.", v.host)
			},
			remedy: func(v *view) diagnosis.Remedy {
				return diagnosis.Remedy{Summary: "Pull less often or in parallel less widely, honour Retry-After, or raise the SKU.", Commands: []string{"az acr update --name " + v.registryLabel() + " --sku Premium"}}
			},
		}},
	},
	{
		name: "the name leads to a stamp that does not serve the registry", family: familyService,
		seen: seesWrongStamp,
		causes: []candidate{{
			cause: diagnosis.DNSRegistryRecreatedStaleCNAME,
			summary: func(v *view) string {
				return fmt.Sprintf("%s leads to a registry service that does not know this registry: it was probably created again in another region and the alias is old.", v.host)
			},
			remedy: func(v *view) diagnosis.Remedy {
				return diagnosis.Remedy{Summary: "Wait until the old alias expires (hours), or create the registry under another name."}
			},
		}},
	},
	{
		name: "no token of Microsoft Entra can be had", family: familyService,
		seen: seesEntraBlocked,
		causes: []candidate{{
			cause: diagnosis.EntraBlocked,
			summary: func(v *view) string {
				return "The registry is reachable, and the services that sign this client in are not."
			},
			remedy: func(v *view) diagnosis.Remedy {
				hosts := []string{"login.microsoftonline.com", "management.azure.com"}
				return diagnosis.Remedy{Summary: "Allow " + strings.Join(hosts, " and ") + " on port 443 (service tags AzureActiveDirectory, AzureResourceManager).", Changes: []diagnosis.Change{allow(diagnosis.Firewall, hosts)}}
			},
		}},
	},
	{
		name: "the registry refuses the credentials", family: familyService,
		seen: seesUnauthorized,
		causes: []candidate{{
			cause: diagnosis.CredentialsOrRBAC,
			summary: func(v *view) string {
				return fmt.Sprintf("%s is reachable and refuses the credentials found here: they are wrong or expired, or lack the right to pull.", v.host)
			},
			remedy: func(v *view) diagnosis.Remedy {
				return diagnosis.Remedy{
					Summary:  "Sign in again; if that does not help, give the identity the role AcrPull (Container Registry Repository Reader on a registry with repository permissions).",
					Commands: []string{"az acr login --name " + v.registryLabel(), "az role assignment create --role AcrPull --assignee IDENTITY --scope " + v.registryScope()},
				}
			},
		}},
	},
}

func (v *view) registryScope() string {
	if reg := v.registry(); reg != nil {
		return reg.ID
	}
	return "REGISTRY-ID"
}

func seesThrottled(v *view) (sighting, bool) {
	a := v.r.API
	if a == nil || v.daemon {
		return sighting{}, false
	}
	var hits []probe.HTTP
	if a.Challenge != nil {
		hits = append(hits, a.Challenge.HTTP)
	}
	if a.Token != nil {
		hits = append(hits, a.Token.Steps...)
	}
	if a.Manifest != nil {
		hits = append(hits, a.Manifest.HTTP)
	}
	for _, h := range hits {
		if h.Status == 429 {
			return sighting{evidence: []diagnosis.Evidence{{Probe: "challenge", Saw: fmt.Sprintf("%s %s: 429, Retry-After %s", h.Method, h.URL, orNone(h.Header["Retry-After"])), Means: "the registry answers and limits the rate"}}}, true
		}
	}
	return sighting{}, false
}

func seesWrongStamp(v *view) (sighting, bool) {
	a := v.r.API
	if a == nil || a.Challenge == nil || v.daemon || !v.sound() || !genuine(v.path.TLS) {
		return sighting{}, false
	}
	c := a.Challenge
	if c.Answer != probe.ByOther || c.HTTP.Status != 404 && c.HTTP.Status != 421 {
		return sighting{}, false
	}
	return sighting{
		evidence: []diagnosis.Evidence{
			tlsEvidence(v.path, "the certificate is the registry service's"),
			{Probe: "challenge", Saw: fmt.Sprintf("GET /v2/: %d and no challenge", c.HTTP.Status), Means: "this stamp does not serve the registry"},
		},
		weak: "az acr show -n NAME --query location, against the region of the alias that the name leads to",
	}, true
}

func seesEntraBlocked(v *view) (sighting, bool) {
	a := v.r.API
	if a == nil || a.Token == nil || v.daemon || a.Token.Granted || a.Token.Source != "entra" {
		return sighting{}, false
	}
	for _, set := range [][]probe.Path{v.r.Control, v.r.Paths} {
		for i := range set {
			p := &set[i]
			if (p.Role == probe.RoleEntra || p.Role == probe.RoleARM) && (p.TLS == nil || p.TLS.Outcome != probe.Verified) && p.TCP != nil {
				return sighting{evidence: []diagnosis.Evidence{
					pathEvidence(p, "the service that signs the client in is out of reach"),
					{Probe: "token", Saw: orNone(a.Token.Err), Means: "no token for the registry could be had"},
				}, excluded: []diagnosis.Exclusion{{Cause: diagnosis.CredentialsOrRBAC, Because: "the credentials were never looked at"}}}, true
			}
		}
	}
	return sighting{}, false
}

func seesUnauthorized(v *view) (sighting, bool) {
	a := v.r.API
	if a == nil || v.daemon || a.Challenge == nil || a.Challenge.Answer != probe.ByRegistry || a.Challenge.Denied {
		return sighting{}, false
	}
	step := probe.HTTP{}
	switch {
	case a.Token != nil && !a.Token.Granted && !a.Token.Denied && a.Token.Source != "" && a.Token.Source != "anonymous":
		for _, s := range a.Token.Steps {
			if s.Status == 401 || s.Status == 403 {
				step = s
			}
		}
	case a.Token != nil && a.Token.Granted && a.Token.Source != "anonymous" && a.Manifest != nil && !a.Manifest.OK && !a.Manifest.Denied && (a.Manifest.HTTP.Status == 401 || a.Manifest.HTTP.Status == 403):
		step = a.Manifest.HTTP
	}
	if step.Status == 0 {
		return sighting{}, false
	}
	return sighting{
		evidence: []diagnosis.Evidence{
			{Probe: "challenge", Saw: "GET /v2/: 401 with a challenge of the registry", Means: "the network is sound as far as the registry"},
			{Probe: "token", Saw: fmt.Sprintf("%s %s with credentials from %s: %d", step.Method, step.URL, a.Token.Source, step.Status), Means: "the registry refuses the credentials, not the network"},
		},
		excluded: []diagnosis.Exclusion{{Cause: diagnosis.RegistryIPRule, Because: "network rules answer 403 with code DENIED, before any challenge"}},
	}, true
}
