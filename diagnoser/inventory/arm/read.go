package arm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/acrlab/acrlab/diagnoser/inventory"
)

// Read reads everything that bears on a registry. It never fails as a whole:
// a part that could not be read says why in Status. Its time is bounded by
// Options.Timeout.
func Read(ctx context.Context, o Options, loginServer string) *inventory.Inventory {
	limit := o.Timeout
	if limit <= 0 {
		limit = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r := &reader{login: strings.ToLower(loginServer), inv: &inventory.Inventory{Status: map[inventory.Part]inventory.Status{}}}
	if err := r.open(ctx, o); err != nil {
		for _, p := range inventory.Parts() {
			r.done(p, err)
		}
		return r.inv
	}
	r.all(ctx)
	return r.inv
}

// reader gathers one inventory. Its parts are read at the same time.
type reader struct {
	c     *client
	login string
	mu    sync.Mutex
	inv   *inventory.Inventory
}

func (r *reader) open(ctx context.Context, o Options) error {
	where := CloudOf(r.login)
	if o.Cloud != nil {
		where = *o.Cloud
	}
	cred := o.Credential
	if cred == nil {
		found, err := FindCredential(ctx, where, o)
		if err != nil {
			return err
		}
		cred = found
	}
	c, err := newClient(cred, where, o)
	if err != nil {
		return err
	}
	r.c = c
	if s := cmp.Or(o.Subscription, environment(o.Environ)["AZURE_SUBSCRIPTION_ID"]); s != "" {
		r.inv.Subscriptions = []string{s}
		return nil
	}
	list, err := c.list(ctx, "/subscriptions", inventory.APISubscriptions, nil)
	if err != nil {
		return err
	}
	for _, raw := range list {
		var s struct {
			ID    string `json:"subscriptionId"`
			State string `json:"state"`
		}
		if json.Unmarshal(raw, &s) == nil && s.ID != "" && !strings.EqualFold(s.State, "Disabled") {
			r.inv.Subscriptions = append(r.inv.Subscriptions, s.ID)
		}
	}
	if len(r.inv.Subscriptions) == 0 {
		return errors.New("the identity sees no subscription")
	}
	return nil
}

// done notes how a part went.
func (r *reader) done(p inventory.Part, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.inv.Status[p] = inventory.Status{Err: err.Error()}
		return
	}
	r.inv.Status[p] = inventory.Status{Known: true}
}

func (r *reader) all(ctx context.Context) {
	var wg sync.WaitGroup
	for _, read := range []func(context.Context){
		r.registries,
		r.zones,
		func(ctx context.Context) {
			r.collection(ctx, inventory.Networks, "Microsoft.Network/virtualNetworks", func(raw json.RawMessage) error {
				n, err := parseNetwork(raw)
				r.keep(func() {
					r.inv.Networks = append(r.inv.Networks, n)
					if slices.ContainsFunc(n.Subnets, func(s inventory.Subnet) bool { return strings.EqualFold(s.Name, "GatewaySubnet") }) {
						r.inv.GatewayNetworks = append(r.inv.GatewayNetworks, n.ID)
					}
				})
				return err
			})
			// A gateway lives in a subnet of this name and nowhere else
			// (https://learn.microsoft.com/azure/vpn-gateway/vpn-gateway-about-vpn-gateway-settings#gwsub).
			r.mu.Lock()
			r.inv.Status[inventory.Gateways] = r.inv.Status[inventory.Networks]
			r.mu.Unlock()
		},
		func(ctx context.Context) {
			r.collection(ctx, inventory.SecurityGroups, "Microsoft.Network/networkSecurityGroups", func(raw json.RawMessage) error {
				g, err := parseGroup(raw)
				r.keep(func() { r.inv.SecurityGroups = append(r.inv.SecurityGroups, g) })
				return err
			})
		},
		func(ctx context.Context) {
			r.collection(ctx, inventory.RouteTables, "Microsoft.Network/routeTables", func(raw json.RawMessage) error {
				t, err := parseTable(raw)
				r.keep(func() { r.inv.RouteTables = append(r.inv.RouteTables, t) })
				return err
			})
		},
		func(ctx context.Context) {
			r.collection(ctx, inventory.Firewalls, "Microsoft.Network/azureFirewalls", func(raw json.RawMessage) error {
				f, err := r.firewall(ctx, raw)
				r.keep(func() { r.inv.Firewalls = append(r.inv.Firewalls, f) })
				return err
			})
		},
	} {
		wg.Go(func() { read(ctx) })
	}
	wg.Wait()
}

func (r *reader) keep(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// collection reads every resource of a type in all subscriptions.
func (r *reader) collection(ctx context.Context, p inventory.Part, kind string, take func(json.RawMessage) error) {
	namespace, name, _ := strings.Cut(kind, "/")
	r.done(p, r.inSubscriptions(ctx, func(sub string) error {
		list, err := r.c.list(ctx, "/subscriptions/"+sub+"/providers/"+namespace+"/"+name, versionOf(kind), nil)
		for _, raw := range list {
			if err2 := take(raw); err2 != nil && err == nil {
				err = fmt.Errorf("reading %s: %w", name, err2)
			}
		}
		return err
	}))
}

func versionOf(kind string) string {
	if strings.HasPrefix(kind, "Microsoft.Network/privateDnsZones") {
		return inventory.APIPrivateDNS
	}
	return inventory.APINetwork
}

// inSubscriptions runs f for every subscription at the same time and gives the
// first error in their order.
func (r *reader) inSubscriptions(_ context.Context, f func(string) error) error {
	errs := make([]error, len(r.inv.Subscriptions))
	var wg sync.WaitGroup
	for i, sub := range r.inv.Subscriptions {
		wg.Go(func() { errs[i] = f(sub) })
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// registries finds the registry, then what hangs on it.
func (r *reader) registries(ctx context.Context) {
	var names []string // resource ids
	err := r.inSubscriptions(ctx, func(sub string) error {
		list, err := r.c.list(ctx, "/subscriptions/"+sub+"/resources", inventory.APIResources,
			url.Values{"$filter": {"resourceType eq 'Microsoft.ContainerRegistry/registries'"}})
		for _, raw := range list {
			var ref struct {
				ID   string `json:"id"`
				Type string `json:"type"`
			}
			if json.Unmarshal(raw, &ref) == nil && ref.ID != "" && (ref.Type == "" || strings.EqualFold(ref.Type, "Microsoft.ContainerRegistry/registries")) {
				r.keep(func() { names = append(names, ref.ID) })
			}
		}
		return err
	})
	ours, err2 := r.ours(ctx, names)
	if ours == nil {
		r.done(inventory.Registries, cmp.Or(err, err2))
		because := cmp.Or(err, err2, errors.New("the registry is in no visible subscription"))
		for _, p := range []inventory.Part{inventory.RegistryRules, inventory.Replications, inventory.PrivateEndpoints} {
			r.done(p, because)
		}
		return
	}
	r.done(inventory.Registries, nil)
	var wg sync.WaitGroup
	wg.Go(func() { r.virtualNetworkRules(ctx, ours) })
	wg.Go(func() { r.replications(ctx, ours) })
	wg.Go(func() { r.endpoints(ctx, ours) })
	wg.Wait()
}

// maxRegistries bounds how many are read one by one to find the nearest names.
const maxRegistries = 20

// ours reads the registries whose names come nearest to the login server and
// keeps the one that has it.
func (r *reader) ours(ctx context.Context, resources []string) (*inventory.Registry, error) {
	label, _, _ := strings.Cut(r.login, ".")
	// A domain name label puts "-" and a hash behind the name.
	near := func(id string) int {
		name := strings.ToLower(inventory.Segment(id, "registries"))
		switch {
		case name == label:
			return 0
		case strings.HasPrefix(label, name+"-"):
			return 1
		case name != "" && label != "" && name[0] == label[0]:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(resources, func(a, b string) int { return cmp.Or(cmp.Compare(near(a), near(b)), cmp.Compare(a, b)) })
	var failure error
	for _, id := range resources[:min(len(resources), maxRegistries)] {
		var j registryJSON
		if err := r.c.get(ctx, id, inventory.APIRegistry, nil, &j); err != nil {
			if near(id) <= 1 {
				failure = err
			}
			continue
		}
		reg := j.registry()
		if reg.LoginServer == r.login || inventory.Relative(r.login, privateLink(reg.LoginServer)) == "@" {
			r.inv.Registry = reg
			return reg, nil
		}
		r.inv.Others = append(r.inv.Others, reg.LoginServer)
	}
	return nil, failure
}

// privateLink is a login server's name inside the private DNS zone.
func privateLink(login string) string {
	label, rest, _ := strings.Cut(login, ".")
	return label + ".privatelink." + rest
}

func (r *reader) virtualNetworkRules(ctx context.Context, reg *inventory.Registry) {
	var j registryJSON
	err := r.c.get(ctx, reg.ID, inventory.APIRegistryRules, nil, &j)
	if err == nil {
		rules := j.registry().VirtualNetworkRules
		r.keep(func() { reg.VirtualNetworkRules = rules })
	}
	r.done(inventory.RegistryRules, err)
}

func (r *reader) replications(ctx context.Context, reg *inventory.Registry) {
	list, err := r.c.list(ctx, reg.ID+"/replications", inventory.APIRegistry, nil)
	for _, raw := range list {
		var j replicationJSON
		if json.Unmarshal(raw, &j) == nil {
			r.keep(func() {
				r.inv.Replications = append(r.inv.Replications, inventory.Replication{Region: cmp.Or(j.Name, j.Location),
					RegionEndpointEnabled: j.Properties.RegionEndpointEnabled == nil || *j.Properties.RegionEndpointEnabled, ProvisioningState: j.Properties.ProvisioningState})
			})
		}
	}
	r.done(inventory.Replications, err)
}

// endpoints follows the registry's connections to the private endpoints and on
// to their network interfaces, which alone hold names and addresses when a zone
// group exists.
func (r *reader) endpoints(ctx context.Context, reg *inventory.Registry) {
	found := make([]inventory.PrivateEndpoint, len(reg.Connections))
	errs := make([]error, len(reg.Connections))
	var wg sync.WaitGroup
	for i, c := range reg.Connections {
		wg.Go(func() { found[i], errs[i] = r.endpoint(ctx, c) })
	}
	wg.Wait()
	r.keep(func() { r.inv.Endpoints = found })
	r.done(inventory.PrivateEndpoints, cmp.Or(errs...))
}

func (r *reader) endpoint(ctx context.Context, c inventory.Connection) (inventory.PrivateEndpoint, error) {
	out := inventory.PrivateEndpoint{ID: c.PrivateEndpointID, Name: inventory.Segment(c.PrivateEndpointID, "privateEndpoints"), Status: c.Status}
	if c.PrivateEndpointID == "" {
		return out, nil
	}
	var j endpointJSON
	err := r.c.get(ctx, c.PrivateEndpointID, inventory.APINetwork, nil, &j)
	switch {
	case missing(err):
		return out, nil
	case err != nil:
		return out, err
	}
	out.Exists, out.Location, out.SubnetID = true, j.Location, idOf(j.Properties.Subnet)
	for _, ref := range j.Properties.NetworkInterfaces {
		var nic interfaceJSON
		if err := r.c.get(ctx, ref.ID, inventory.APINetwork, nil, &nic); err != nil {
			return out, err
		}
		for _, ip := range nic.Properties.IPConfigurations {
			m := inventory.Member{}
			if a := addresses([]string{ip.Properties.PrivateIPAddress}); len(a) == 1 {
				m.Address = a[0]
			}
			if p := ip.Properties.PrivateLink; p != nil {
				m.Name, m.FQDNs = p.RequiredMemberName, p.FQDNs
			}
			out.Members = append(out.Members, m)
		}
	}
	if len(out.Members) == 0 {
		for _, d := range j.Properties.CustomDNSConfigs {
			for _, a := range addresses(d.IPAddresses) {
				out.Members = append(out.Members, inventory.Member{Address: a, FQDNs: []string{d.FQDN}})
			}
		}
	}
	return out, nil
}

// zones reads the private zones that could answer for a registry, with links
// and A records.
func (r *reader) zones(ctx context.Context) {
	var mu sync.Mutex
	var mine []inventory.PrivateZone
	err := r.inSubscriptions(ctx, func(sub string) error {
		list, err := r.c.list(ctx, "/subscriptions/"+sub+"/providers/Microsoft.Network/privateDnsZones", inventory.APIPrivateDNS, nil)
		for _, raw := range list {
			var j zoneJSON
			if json.Unmarshal(raw, &j) != nil || !registryZone(j.Name) {
				continue
			}
			mu.Lock()
			mine = append(mine, inventory.PrivateZone{ID: j.ID, Name: strings.ToLower(j.Name)})
			mu.Unlock()
		}
		return err
	})
	var wg sync.WaitGroup
	for i := range mine {
		wg.Go(func() { r.zoneChildren(ctx, &mine[i]) })
	}
	wg.Wait()
	slices.SortFunc(mine, func(a, b inventory.PrivateZone) int { return cmp.Compare(a.ID, b.ID) })
	for _, z := range mine {
		if err == nil && (z.LinksErr != "" || z.RecordsErr != "") {
			err = errors.New(cmp.Or(z.LinksErr, z.RecordsErr))
		}
	}
	r.keep(func() { r.inv.Zones = mine })
	r.done(inventory.PrivateZones, err)
}

// registryZone: privatelink.azurecr.io, a region's own below it, or a
// home-made zone over the public name.
func registryZone(name string) bool {
	for _, suffix := range []string{"azurecr.io", "azurecr.us", "azurecr.cn"} {
		if inventory.Within(name, suffix) {
			return true
		}
	}
	return false
}

func (r *reader) zoneChildren(ctx context.Context, z *inventory.PrivateZone) {
	links, err := r.c.list(ctx, z.ID+"/virtualNetworkLinks", inventory.APIPrivateDNS, nil)
	if err != nil {
		z.LinksErr = err.Error()
	}
	for _, raw := range links {
		var j linkJSON
		if json.Unmarshal(raw, &j) == nil {
			z.Links = append(z.Links, inventory.ZoneLink{ID: j.ID, Name: j.Name, NetworkID: idOf(j.Properties.VirtualNetwork),
				State: j.Properties.State, Fallback: strings.EqualFold(j.Properties.ResolutionPolicy, "NxDomainRedirect")})
		}
	}
	records, err := r.c.list(ctx, z.ID+"/A", inventory.APIPrivateDNS, nil)
	if err != nil {
		z.RecordsErr = err.Error()
	}
	z.Records = map[string][]netip.Addr{}
	for _, raw := range records {
		var j recordJSON
		if json.Unmarshal(raw, &j) != nil {
			continue
		}
		var list []string
		for _, a := range j.Properties.ARecords {
			list = append(list, a.Address)
		}
		z.Records[strings.ToLower(j.Name)] = addresses(list)
	}
}
