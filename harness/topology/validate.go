package topology

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// Validate says what in t Azure would refuse or the simulation cannot build;
// several errors are joined, one line each, beginning with the place
// ("virtualNetworks.hub.subnets.clients.addressPrefix: …"). It expects defaults
// to be filled: see [Topology.WithDefaults].
func (t *Topology) Validate() error {
	var errs []error
	for _, f := range t.faults() {
		errs = append(errs, fmt.Errorf("%s: %s", f.at, f.message))
	}
	return errors.Join(errs...)
}

// fault is a mistake at a place of a topology.
type fault struct {
	at      path
	message string
}

// checker collects faults of one topology.
type checker struct {
	*Topology
	found []fault
}

func (c *checker) add(at path, format string, args ...any) {
	c.found = append(c.found, fault{at, fmt.Sprintf(format, args...)})
}

// faults are all mistakes in a fixed order.
func (t *Topology) faults() []fault {
	c := &checker{Topology: t}
	c.enumerations(nil, reflect.ValueOf(*t), nil, "")
	if len(c.found) == 0 {
		c.registry()
		c.networks()
		c.prefixes()
		c.securityGroups()
		c.routeTables()
		c.privateEndpoints()
		c.privateDNSZones()
		c.azureFirewalls()
		c.dnsServers()
		c.addresses()
		c.site()
	}
	return c.found
}

// enumerations checks words and names once more, for topologies that were not
// read from YAML.
func (c *checker) enumerations(at path, v reflect.Value, owner reflect.Type, key string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.enumerations(at, v.Elem(), owner, key)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			c.enumerations(at.with(name), v.Field(i), v.Type(), name)
		}
	case reflect.Map:
		for _, k := range slices.SortedFunc(slices.Values(v.MapKeys()), byText) {
			sub := at.with(k.String())
			if err := checkName(at, k.String()); err != nil {
				c.add(sub, "%v", err)
				continue
			}
			c.enumerations(sub, v.MapIndex(k), owner, key)
		}
	case reflect.Slice:
		for i := range v.Len() {
			c.enumerations(at.with(fmt.Sprintf("[%d]", i)), v.Index(i), owner, key)
		}
	case reflect.String:
		if owner == nil || v.String() == "" {
			return
		}
		if valid := enumerated(owner, key); valid != nil && !slices.Contains(valid, v.String()) {
			c.add(at, "unknown value %q%s", v.String(), suggestValue(v.String(), valid))
		}
	}
}

// subnetAt checks a reference "vnet/subnet".
func (c *checker) subnetAt(at path, name string) bool {
	network, subnet, ok := strings.Cut(name, "/")
	if !ok {
		c.add(at, "%q is no subnet; write it as network/subnet", name)
		return false
	}
	v, known := c.VirtualNetworks[network]
	if !known {
		valid := sortedKeys(c.VirtualNetworks)
		c.add(at, "there is no virtual network %q%s", network, suggestName(network, valid))
		return false
	}
	if _, known := v.Subnets[subnet]; !known {
		c.add(at, "virtual network %s has no subnet %q%s", network, subnet, suggestName(subnet, sortedKeys(v.Subnets)))
		return false
	}
	return true
}

// suggestName is the closest of the names there are, or all of them.
func suggestName(name string, there []string) string {
	if s := didYouMean(name, there); s != "" {
		return s
	}
	if len(there) == 0 {
		return "; there is none"
	}
	return "; there is " + strings.ReplaceAll(oneOf(there), " or ", " and ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func byText(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) }

// address4 checks an IPv4 address: the simulated networks are IPv4.
func (c *checker) address4(at path, s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		c.add(at, "%q is no IPv4 address", s)
		return netip.Addr{}, false
	}
	return a, true
}

func (c *checker) prefix4(at path, s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		c.add(at, "%q is no IPv4 prefix; write it like 10.0.0.0/16", s)
		return netip.Prefix{}, false
	}
	if p != p.Masked() {
		c.add(at, "%s has bits beyond its mask; write %s", s, p.Masked())
		return netip.Prefix{}, false
	}
	return p, true
}

// destination checks what rules and routes match: a prefix, an address, a
// service tag or "*".
func (c *checker) destination(at path, s string) {
	switch s {
	case "*":
		return
	case "":
		c.add(at, "it is empty; write an address, a prefix, a service tag or *")
		return
	}
	if strings.ContainsAny(s, "/:") || s[0] >= '0' && s[0] <= '9' {
		if strings.Contains(s, "/") {
			c.prefix4(at, s)
		} else {
			c.address4(at, s)
		}
		return
	}
	if !serviceTag.MatchString(s) {
		c.add(at, "%q is no address, prefix or service tag", s)
	}
}

// public checks an address that others on the internet see.
func (c *checker) public(at path, s string) {
	if a, ok := c.address4(at, s); ok && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()) {
		c.add(at, "%s is no public address", s)
	}
}
