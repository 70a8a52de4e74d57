package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
)

// acr is a registry with its replicas.
type acr struct {
	id, key, name, login string
	home                 string
	regions              []string // home first, then by name
	routed               []string // those that the global endpoint leads to
	data                 bool     // data endpoints instead of storage
	anonymous            bool
	access               bool // publicNetworkAccess and defaultAction
	allow                []netip.Prefix
	index                int  // distinguishes its addresses from other registries'
	private              bool // has a private endpoint connection
}

func (w *world) readRegistries() error {
	list, err := state.Registries(w.in.State)
	if err != nil {
		return err
	}
	// Registries with content come first, so that one that is created in a lab
	// does not take the address of the one that the scenario is about.
	slices.SortStableFunc(list, func(a, b state.Registry) int { return w.rank(a.Name) - w.rank(b.Name) })
	for i, r := range list {
		a := &acr{id: r.ID, key: state.Key(r.ID), name: r.Name, home: r.Location, index: i,
			login: strings.ToLower(r.Properties.LoginServer), data: r.Properties.DataEndpointEnabled, anonymous: r.Properties.AnonymousPullEnabled}
		if a.login == "" {
			a.login = strings.ToLower(r.Name) + ".azurecr.io"
		}
		if i > 60 {
			return fmt.Errorf("registry %s: the simulation has addresses for 60 registries", r.Name)
		}
		if err := w.readRules(a, r.Properties); err != nil {
			return fmt.Errorf("registry %s: %w", r.Name, err)
		}
		a.regions, a.routed = []string{a.home}, []string{a.home}
		w.registries = append(w.registries, a)
	}
	if err := w.readReplications(); err != nil {
		return err
	}
	for _, a := range w.registries {
		for _, name := range a.regions {
			if _, err := regionOf(name); err != nil {
				return fmt.Errorf("registry %s: %w", a.name, err)
			}
		}
	}
	return nil
}

func (w *world) rank(registry string) int {
	for name := range w.in.Content {
		if strings.EqualFold(name, registry) {
			return 0
		}
	}
	return 1
}

func (w *world) registry(id string) *acr {
	i := slices.IndexFunc(w.registries, func(a *acr) bool { return a.key == state.Key(id) })
	if i < 0 {
		return nil
	}
	return w.registries[i]
}

func (w *world) readReplications() error {
	list, err := state.Replications(w.in.State)
	if err != nil {
		return err
	}
	for _, r := range list {
		a := w.registry(state.Parent(r.ID))
		if a == nil {
			continue // of a registry that is gone
		}
		name := state.Location(r.Name)
		if !slices.Contains(a.regions, name) {
			a.regions = append(a.regions, name)
			a.routed = append(a.routed, name)
		}
		if e := r.Properties.RegionEndpointEnabled; e != nil && !*e {
			a.routed = slices.DeleteFunc(a.routed, func(x string) bool { return x == name })
		}
	}
	return nil
}

// readRules works out whom the registry lets in on its public side.
//
// A rule for a subnet counts only if the subnet has the service endpoint: only
// then does its traffic arrive with the private source that the rule is about.
// With the service endpoint the public address is not seen any more, so that an
// IP rule for it does not match.
// https://learn.microsoft.com/azure/container-registry/container-registry-vnet
func (w *world) readRules(a *acr, p state.RegistryProperties) error {
	if strings.EqualFold(p.PublicNetworkAccess, "Disabled") {
		return nil // overrides every rule, service endpoints included
	}
	rules := p.NetworkRuleSet
	if rules == nil || !strings.EqualFold(rules.DefaultAction, "Deny") {
		a.access = true
		return nil
	}
	for _, r := range rules.IPRules {
		prefix, ok, err := parsePrefix(r.Value)
		if err != nil {
			return fmt.Errorf("reading its IP rules: %w", err)
		}
		if ok {
			a.allow = append(a.allow, prefix)
		}
	}
	for _, r := range rules.VirtualNetworkRules {
		if s := w.subnets[state.Key(r.Subnet())]; s != nil && s.has(serviceRegistry) {
			a.allow = append(a.allow, s.prefixes...)
		}
	}
	return nil
}
