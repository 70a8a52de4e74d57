package diagnosis

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Validate says what in d contradicts the contract; several errors are joined,
// one line each.
func Validate(d *Diagnosis) error {
	if d == nil {
		return errors.New("validating the diagnosis: there is none")
	}
	v := validator{}
	if d.Schema != Schema {
		v.add("schema is %q, want %q", d.Schema, Schema)
	}
	if d.Registry == "" {
		v.add("registry is empty")
	}
	if d.Healthy && len(d.Findings) > 0 {
		v.add("healthy is true, yet there is a finding (%s)", d.Findings[0].Cause)
	}
	for i, f := range d.Findings {
		v.finding(fmt.Sprintf("findings[%d]", i), f)
	}
	found := map[Cause]bool{}
	for _, f := range d.Findings {
		found[f.Cause] = true
	}
	for i, f := range d.Findings {
		for j, e := range f.Excluded {
			if found[e.Cause] {
				v.add("findings[%d].excluded[%d]: %s is a finding as well", i, j, e.Cause)
			}
		}
	}
	for i, o := range d.Observations {
		if o.Saw == "" {
			v.add("observations[%d].saw is empty", i)
		}
	}
	for i, o := range d.NotChecked {
		if o.Check == "" || o.Because == "" {
			v.add("notChecked[%d] needs check and because", i)
		}
	}
	return errors.Join(v.errs...)
}

type validator struct{ errs []error }

func (v *validator) add(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("validating the diagnosis: "+format, args...))
}

func (v *validator) finding(at string, f Finding) {
	if _, ok := Lookup(f.Cause); !ok {
		v.add("%s.cause: unknown cause %q", at, f.Cause)
	}
	if !slices.Contains(Certainties(), f.Certainty) {
		v.add("%s.certainty is %q, want proven, probable or possible", at, f.Certainty)
	}
	if f.Summary == "" {
		v.add("%s.summary is empty", at)
	}
	if f.Certainty == Proven && f.DecidedBy != "" {
		v.add("%s: a proven finding has nothing left to decide, yet decidedBy is set", at)
	}
	if len(f.Evidence) == 0 {
		v.add("%s.evidence is empty", at)
	}
	for i, e := range f.Evidence {
		if e.Probe == "" || e.Saw == "" {
			v.add("%s.evidence[%d] needs probe and saw", at, i)
		}
	}
	for i, e := range f.Excluded {
		if _, ok := Lookup(e.Cause); !ok {
			v.add("%s.excluded[%d].cause: unknown cause %q", at, i, e.Cause)
		}
	}
	if f.Remedy.Summary == "" {
		v.add("%s.remedy.summary is empty", at)
	}
	for i, c := range f.Remedy.Changes {
		v.change(fmt.Sprintf("%s.remedy.changes[%d]", at, i), c)
	}
}

func (v *validator) change(at string, c Change) {
	set := 0
	for _, on := range []bool{c.ARM != nil, c.Allow != nil, c.Environment != nil, c.Resolver != nil, c.Hosts != nil, c.UseRegistry != ""} {
		if on {
			set++
		}
	}
	if set != 1 {
		v.add("%s: exactly one kind of change must be set, %d are", at, set)
	}
	if c.ARM != nil {
		v.arm(at+".arm", *c.ARM)
	}
	if a := c.Allow; a != nil {
		if !slices.Contains(Devices(), a.Device) {
			v.add("%s.allow.device is %q, want firewall, proxy or inspection", at, a.Device)
		}
		if len(a.Hosts) == 0 || slices.Contains(a.Hosts, "") {
			v.add("%s.allow.hosts needs at least one name and no empty one", at)
		}
		if a.Port < 1 || a.Port > 65535 {
			v.add("%s.allow.port is %d, want 1 to 65535", at, a.Port)
		}
	}
	if e := c.Environment; e != nil {
		if !slices.Contains(Scopes(), e.Scope) {
			v.add("%s.environment.scope is %q, want shell or daemon", at, e.Scope)
		}
		if len(e.Set) == 0 {
			v.add("%s.environment.set is empty", at)
		}
		for name := range e.Set {
			if name == "" || strings.ContainsAny(name, "=\x00") {
				v.add("%s.environment.set: %q is no name of a variable", at, name)
			}
		}
	}
	if h := c.Hosts; h != nil && (len(h.Remove) == 0 || slices.Contains(h.Remove, "")) {
		v.add("%s.hosts.remove needs at least one name and no empty one", at)
	}
	if r := c.Resolver; r != nil {
		if len(r.Servers) == 0 {
			v.add("%s.resolver.servers is empty", at)
		}
		for _, s := range r.Servers {
			if _, err := netip.ParseAddr(s); err != nil {
				v.add("%s.resolver.servers: %q is no IP address", at, s)
			}
		}
	}
}

func (v *validator) arm(at string, r ARMRequest) {
	switch r.Method {
	case "PUT", "PATCH":
		if len(r.Body) == 0 {
			v.add("%s: %s without a body", at, r.Method)
		}
	case "DELETE":
	default:
		v.add("%s.method is %q, want PUT, PATCH or DELETE", at, r.Method)
	}
	if !strings.HasPrefix(strings.ToLower(r.ID), "/subscriptions/") {
		v.add("%s.id is %q, want a resource id that begins with /subscriptions/", at, r.ID)
	}
	if r.APIVersion == "" {
		v.add("%s.apiVersion is empty", at)
	}
	if len(r.Body) > 0 && !json.Valid(r.Body) {
		v.add("%s.body is not JSON", at)
	}
}

// Certainties are all values of [Certainty], the surest first.
func Certainties() []Certainty { return []Certainty{Proven, Probable, Possible} }

// Devices are all values of [Device].
func Devices() []Device { return []Device{Firewall, Proxy, Inspection} }

// Scopes are all values of [Scope].
func Scopes() []Scope { return []Scope{Shell, Daemon} }
