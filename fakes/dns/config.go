// Package dns is the DNS of the simulated internet: public CNAME chains,
// Azure-provided DNS that answers by the asking network, custom forwarders, and
// resolvers that fail in the ways that resolvers do.
//
// A server is configured with data alone; what an asking network may see was
// decided by whoever wrote the configuration.
package dns

import "net/netip"

// Config is one resolver.
type Config struct {
	// Behaviour is answer (the zero value), silence, servfail or refused.
	Behaviour Behaviour `json:"behaviour,omitempty"`
	// Records are what the public internet answers; the server is recursive for
	// them and follows CNAMEs within.
	Records []Record `json:"records,omitempty"`
	// Views are tried by the asker's address, first match; without a match (or
	// without views) only Records are used.
	Views []View `json:"views,omitempty"`
	// OnlyViews drops queries in silence when no view matches: 168.63.129.16
	// answers virtual networks alone.
	OnlyViews bool `json:"onlyViews,omitempty"`
	// Forward sends queries to another server by real packets, longest suffix
	// first ("." matches all). It comes before Records.
	Forward []Forward `json:"forward,omitempty"`
}

// Behaviour of a resolver as a whole.
type Behaviour string

const (
	Answer   Behaviour = ""
	Silence  Behaviour = "silence"
	ServFail Behaviour = "servfail"
	Refused  Behaviour = "refused"
)

// Record is one resource record. Exactly one of CNAME and A is set.
type Record struct {
	Name  string     `json:"name"` // absolute, lower case, without the trailing dot
	TTL   uint32     `json:"ttl"`  // seconds
	CNAME string     `json:"cname,omitempty"`
	A     netip.Addr `json:"a,omitzero"`
}

// View is what askers from some networks see in addition: private zones. At
// every name of a CNAME chain the longest zone that is a suffix is authoritative:
// without a record there the answer is NXDOMAIN, unless the zone falls back.
type View struct {
	Source []netip.Prefix `json:"source"`
	Zones  []Zone         `json:"zones,omitempty"`
}

// Zone is a private zone.
type Zone struct {
	Name     string   `json:"name"`
	Records  []Record `json:"records,omitempty"`
	Fallback bool     `json:"fallback,omitempty"` // resolutionPolicy NxDomainRedirect
}

// Forward is a conditional forwarder.
type Forward struct {
	Suffix string         `json:"suffix"` // "." or e.g. "azurecr.io"
	To     netip.AddrPort `json:"to"`
}
