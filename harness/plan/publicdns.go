package plan

import (
	"crypto/md5"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/acrlab/acrlab/fakes/dns"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Times to live in seconds. The last four are those of Microsoft's example
// (https://learn.microsoft.com/azure/container-registry/container-registry-private-endpoints);
// there the first showed 2881 and is taken to be an hour when fresh.
const (
	ttlRegistry = 3600
	ttlStamp    = 300
	ttlManager  = 300
	ttlAddress  = 10
	ttlStorage  = 60
)

// publicRecords are what the public internet answers to somebody near the
// home region of each registry; geoZones tell others.
func (w *world) publicRecords() []dns.Record {
	out := []dns.Record{
		{Name: armName, TTL: 300, CNAME: "arm-frontdoor-prod.trafficmanager.net"},
		{Name: "arm-frontdoor-prod.trafficmanager.net", TTL: 60, A: armAddress},
		{Name: entraName, TTL: 300, CNAME: "login.mso.msidentity.com"},
		{Name: "login.mso.msidentity.com", TTL: 60, A: entraAddress},
		// Other names of the sign-in service: where users type device codes, and
		// what instance discovery lists.
		{Name: "login.microsoft.com", TTL: 300, CNAME: "login.mso.msidentity.com"},
		{Name: "login.windows.net", TTL: 300, CNAME: "login.mso.msidentity.com"},
		{Name: "sts.windows.net", TTL: 300, CNAME: "login.mso.msidentity.com"},
		{Name: graphName, TTL: 300, CNAME: "ags.privatelink.msidentity.com"},
		{Name: "ags.privatelink.msidentity.com", TTL: 60, A: graphAddress},
		{Name: logsName, TTL: 60, A: logsAddress},
		{Name: "api.loganalytics.azure.com", TTL: 60, A: logsAddress},
		{Name: mcrName, TTL: 3600, CNAME: "mcr-0001.mcr-msedge.net"},
		{Name: "mcr-0001.mcr-msedge.net", TTL: 240, A: mcrAddress},
		{Name: mcrDataName, TTL: 60, A: mcrDataAddress},
		{Name: controlName, TTL: 300, A: controlAddress},
	}
	for _, a := range w.registries {
		out = append(out, a.loginChain()...)
		for _, name := range a.regions {
			if a.data {
				out = append(out, a.dataChain(name)...)
			}
			out = append(out, a.storageChain(name)...)
		}
	}
	return out
}

// stamp names the part of a region's service that serves a registry.
func (a *acr) stamp(r region) string {
	if a.index == 0 {
		return r.short
	}
	return r.short + "-" + itoa(a.index)
}

// geo is the Traffic Manager profile of a geo-replicated registry, empty for
// one region.
func (a *acr) geo() string {
	if len(a.regions) < 2 {
		return ""
	}
	sum := md5.Sum([]byte(a.login))
	return hex.EncodeToString(sum[:]) + ".trafficmanager.net"
}

func (a *acr) frontEnd(name string) string { return a.stamp(regions[name]) + ".fe.azcr.io" }

// private inserts "privatelink" into a name of the registry's domain.
func private(name string) string {
	head, _, ok := strings.Cut(name, ".azurecr.")
	if !ok {
		return "privatelink." + name
	}
	return head + ".privatelink" + name[len(head):]
}

// loginChain is the chain of aliases of the login server, as observed:
//
//	R.azurecr.io → [R.privatelink.azurecr.io] → [<32 hex>.trafficmanager.net]
//	→ eus.fe.azcr.io → eus-acr-reg.trafficmanager.net
//	→ r0318eus-az.eastus.cloudapp.azure.com → address
func (a *acr) loginChain() []dns.Record {
	next := a.frontEnd(a.home)
	if a.geo() != "" {
		next = a.geo()
	}
	var out []dns.Record
	name := a.login
	if a.private {
		out = append(out, dns.Record{Name: name, TTL: ttlRegistry, CNAME: private(name)})
		name = private(name)
	}
	out = append(out, dns.Record{Name: name, TTL: ttlRegistry, CNAME: next})
	if a.geo() != "" {
		if to := nearest(a.home, a.routed); to != "" {
			out = append(out, dns.Record{Name: a.geo(), TTL: ttlManager, CNAME: a.frontEnd(to)})
		}
	}
	for _, name := range a.regions {
		r := regions[name]
		manager := a.stamp(r) + "-acr-reg.trafficmanager.net"
		vm := "r0318" + a.stamp(r) + "-az." + name + ".cloudapp.azure.com"
		out = append(out,
			dns.Record{Name: a.frontEnd(name), TTL: ttlStamp, CNAME: manager},
			dns.Record{Name: manager, TTL: ttlManager, CNAME: vm},
			dns.Record{Name: vm, TTL: ttlAddress, A: r.login(a.index)})
	}
	return out
}

// dataChain is the chain of aliases of a data endpoint.
func (a *acr) dataChain(name string) []dns.Record {
	r, from := regions[name], a.dataName(name)
	stamp := r.short + "-" + itoa(a.index) + ".data.azcr.io"
	manager := a.stamp(r) + "-acr-dp.trafficmanager.net"
	vm := "d0318" + a.stamp(r) + "." + name + ".cloudapp.azure.com"
	var out []dns.Record
	if a.private {
		out = append(out, dns.Record{Name: from, TTL: ttlRegistry, CNAME: private(from)})
		from = private(from)
	}
	return append(out,
		dns.Record{Name: from, TTL: ttlRegistry, CNAME: stamp},
		dns.Record{Name: stamp, TTL: ttlStamp, CNAME: manager},
		dns.Record{Name: manager, TTL: ttlManager, CNAME: vm},
		dns.Record{Name: vm, TTL: ttlAddress, A: r.data(a.index)})
}

func (a *acr) storageChain(name string) []dns.Record {
	r := regions[name]
	store := "blob." + r.short + "prdstr" + itoa(15+a.index) + "a.store.core.windows.net"
	return []dns.Record{
		{Name: a.storageName(name), TTL: ttlStorage, CNAME: store},
		{Name: store, TTL: ttlStorage, A: r.blob(a.index)},
	}
}

// geoZones answer the Traffic Manager names of geo-replicated registries for
// an asker in a region; none where the public records say the same.
func (w *world) geoZones(from string) []dns.Zone {
	var out []dns.Zone
	for _, a := range w.registries {
		if a.geo() == "" || len(a.routed) == 0 {
			continue
		}
		to := nearest(from, a.routed)
		if to == nearest(a.home, a.routed) {
			continue
		}
		out = append(out, dns.Zone{Name: a.geo(), Records: []dns.Record{{Name: a.geo(), TTL: ttlManager, CNAME: a.frontEnd(to)}}})
	}
	return out
}

// resolve follows the public records, as a device with an object for a DNS name
// does once. A name that starts with "*." stands for all names below it that
// exist. Unknown names have no address. An empty region is the registry's home.
func (w *world) resolve(name, from string) []netip.Addr {
	records := map[string]dns.Record{}
	for _, r := range w.publicRecords() {
		records[r.Name] = r
	}
	if from != "" {
		for _, z := range w.geoZones(from) {
			records[z.Name] = z.Records[0]
		}
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	names := []string{name}
	if suffix, ok := strings.CutPrefix(name, "*"); ok {
		names = nil
		for _, n := range keys(records) {
			if strings.HasSuffix(n, suffix) {
				names = append(names, n)
			}
		}
	}
	var out []netip.Addr
	for _, n := range names {
		for range 16 {
			r, ok := records[n]
			if !ok {
				break
			}
			if r.A.IsValid() {
				if !slices.Contains(out, r.A) {
					out = append(out, r.A)
				}
				break
			}
			n = r.CNAME
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}
