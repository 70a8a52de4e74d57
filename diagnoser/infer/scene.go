package infer

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
)

// scene is a report with what follows from it by definition: which address
// is private, which lookup a client would go by, which path is whose.
type scene struct {
	r   *probe.Report
	inv *inventory.Inventory
	// network and subnet hold the client, if Azure says so.
	network *inventory.VirtualNetwork
	subnet  *inventory.Subnet
	lanes   []lane
}

// lane is one client's way: the shell's, or the container engine's where that
// differs.
type lane struct {
	daemon bool
	login  *view
	data   []*view
}

// view is one name on one lane: what a situation looks at.
type view struct {
	*scene
	host   string
	role   probe.EndpointRole
	daemon bool
	// path is the way that was tried; nil if none was.
	path *probe.Path
	// siblings are the other addresses of the same name on the same way.
	siblings []*probe.Path
	dns      name
	login    *view // the lane's own login server; itself for role login
	// blob is set when the name comes from a layer's redirect.
	blob *probe.Blob
}

func newScene(r *probe.Report, inv *inventory.Inventory) *scene {
	s := &scene{r: r, inv: inv}
	if !s.outside() {
		s.network, s.subnet, _ = inv.Holding(r.Vantage.Source)
	}
	s.lanes = append(s.lanes, s.lane(false))
	if l := s.lane(true); l.login != nil && l.login.path != nil {
		s.lanes = append(s.lanes, l)
	}
	return s
}

// outside says that the client is known not to be in a virtual network.
func (s *scene) outside() bool { return s.r.Vantage.InAzureVNet != nil && !*s.r.Vantage.InAzureVNet }

// lane gathers the paths of the shell, or those of the daemon that the shell
// does not take.
func (s *scene) lane(daemon bool) lane {
	mine := func(p *probe.Path) bool {
		if daemon {
			return p.Daemon && !p.Shell
		}
		return p.Shell
	}
	l := lane{daemon: daemon}
	l.login = s.view(s.r.Target.Host, probe.RoleLogin, daemon, mine)
	l.login.login = l.login
	hosts := map[string]probe.EndpointRole{}
	var order []string
	add := func(h string, role probe.EndpointRole) {
		if _, ok := hosts[h]; h != "" && !ok {
			hosts[h] = role
			order = append(order, h)
		}
	}
	blob := s.blob()
	if !daemon && blob != nil {
		add(blob.Host, roleOf(blob.Host))
	}
	for i := range s.r.Paths {
		if p := &s.r.Paths[i]; mine(p) && (p.Role == probe.RoleData || p.Role == probe.RoleStorage) {
			add(p.Host, p.Role)
		}
	}
	if !daemon {
		for i := range s.r.Lookups {
			if n := s.r.Lookups[i].Name; roleOf(n) == probe.RoleData {
				add(n, probe.RoleData)
			}
		}
	}
	if !daemon && blob != nil && blob.OK {
		return l // the layers came: other replicas are not on this path
	}
	for _, h := range order {
		if !daemon && blob != nil && blob.Host != "" && !strings.EqualFold(h, blob.Host) {
			continue // the redirect names the one endpoint that counts
		}
		v := s.view(h, hosts[h], daemon, mine)
		v.login = l.login
		if !daemon && blob != nil && strings.EqualFold(h, blob.Host) {
			v.blob = blob
			if blob.Path != nil {
				v.path = blob.Path
			}
		}
		if v.path != nil || v.dns.effective != nil {
			l.data = append(l.data, v)
		}
	}
	return l
}

func (s *scene) blob() *probe.Blob {
	if s.r.API == nil {
		return nil
	}
	return s.r.API.Blob
}

func (s *scene) view(host string, role probe.EndpointRole, daemon bool, mine func(*probe.Path) bool) *view {
	v := &view{scene: s, host: host, role: role, daemon: daemon, dns: s.name(host)}
	for i := range s.r.Paths {
		p := &s.r.Paths[i]
		if !mine(p) || !strings.EqualFold(p.Host, host) {
			continue
		}
		v.siblings = append(v.siblings, p)
		// A client that has several addresses goes on to one that works.
		if v.path == nil || progress(p) > progress(v.path) {
			v.path = p
		}
	}
	return v
}

// progress counts the stages that a path got through.
func progress(p *probe.Path) int {
	n := 0
	if p.TCP != nil && p.TCP.Outcome == probe.Connected {
		n++
	}
	if p.Proxy != nil && p.Proxy.Status/100 == 2 {
		n++
	}
	if p.TLS != nil {
		n++
		if p.TLS.Outcome == probe.Verified {
			n++
		}
	}
	if p.HTTP != nil && p.HTTP.Status != 0 {
		n++
	}
	return n
}

func (v *view) proxied() bool { return v.path != nil && v.path.Via != probe.Direct && v.path.Via != "" }

// setting is the proxy setting of the shell or of the daemon.
func (s *scene) setting(daemon bool) probe.ProxySettings {
	if daemon {
		if s.r.Vantage.Daemon == nil {
			return probe.ProxySettings{}
		}
		return s.r.Vantage.Daemon.Proxy
	}
	return s.r.Vantage.Shell
}

// sound says that TLS with the endpoint's own name stands.
func (v *view) sound() bool {
	return v.path != nil && v.path.TLS != nil && v.path.TLS.Outcome == probe.Verified
}

// failing says that a client cannot get through on this path: the connection
// does not stand, or the registry's rules refuse it.
func (v *view) failing() bool {
	if _, denied := v.denied(); denied {
		return true
	}
	if v.role == probe.RoleLogin && !v.daemon {
		if v.r.API != nil && v.r.API.Challenge != nil {
			return v.r.API.Challenge.Answer != probe.ByRegistry
		}
	}
	if v.blob != nil && v.blob.OK {
		return false
	}
	return !v.sound()
}

// denied says that the registry's network rules refused, and which address it saw.
func (v *view) denied() (netip.Addr, bool) {
	if a := v.r.API; a != nil && v.role == probe.RoleLogin && !v.daemon {
		switch {
		case a.Challenge != nil && a.Challenge.Denied:
			return a.Challenge.DeniedIP, true
		case a.Token != nil && a.Token.Denied:
			return a.Token.DeniedIP, true
		case a.Manifest != nil && a.Manifest.Denied:
			return a.Manifest.DeniedIP, true
		}
	}
	if v.path != nil && v.path.HTTP != nil && v.path.HTTP.Status == 403 {
		if ip, ok := deniedIn(v.path.HTTP.Body); ok {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// suffix is the cloud's registry suffix.
func (s *scene) suffix() string {
	if s.r.Target.Suffix != "" {
		return s.r.Target.Suffix
	}
	return "azurecr.io"
}

// blobSuffix ends the names of storage accounts in the registry's cloud
// (https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure,
// https://learn.microsoft.com/azure/china/resources-developer-guide).
func (s *scene) blobSuffix() string {
	switch s.suffix() {
	case "azurecr.us":
		return ".blob.core.usgovcloudapi.net"
	case "azurecr.cn":
		return ".blob.core.chinacloudapi.cn"
	}
	return ".blob.core.windows.net"
}

// zoneName is the private DNS zone of private endpoints to registries.
func (s *scene) zoneName() string { return "privatelink." + s.suffix() }

// registryName is the resource name's place in the login server; the label
// that names the registry in DNS, with the hash of a domain name label if any.
func (s *scene) registryLabel() string {
	label, _, _ := strings.Cut(s.r.Target.Host, ".")
	return label
}

func roleOf(host string) probe.EndpointRole {
	h := strings.ToLower(host)
	switch {
	case strings.Contains(h, ".data.") && !strings.Contains(h, ".privatelink."):
		return probe.RoleData
	case strings.Contains(h, ".blob."):
		return probe.RoleStorage
	}
	return probe.RoleLogin
}

// tags are the service tags that cover a public endpoint
// (https://learn.microsoft.com/azure/container-registry/container-registry-firewall-access-rules).
func (v *view) tags() []string {
	if v.role == probe.RoleStorage {
		return []string{"Storage"}
	}
	const tag = "AzureContainerRegistry"
	if region := v.home(); region != "" {
		return []string{tag, tag + "." + region}
	}
	return []string{tag}
}

// cloudApp matches the end of a registry's public alias chain, which tells the
// region that serves: r0318eus-az.eastus.cloudapp.azure.com.
var cloudApp = regexp.MustCompile(`^[^.]+\.([a-z0-9-]+)\.cloudapp\.(?:azure\.com|usgovcloudapi\.net|chinacloudapi\.cn)\.?$`)

// home is the region whose address the endpoint has; empty if nothing tells.
func (v *view) home() string {
	if v.role == probe.RoleData {
		if r := v.region(); r != v.host {
			return r
		}
	}
	for _, l := range []*probe.Lookup{v.dns.effective, v.dns.public, v.dns.azure} {
		if l == nil || !slices.Contains(l.Addrs, v.addr()) {
			continue
		}
		for _, c := range l.Chain {
			if m := cloudApp.FindStringSubmatch(strings.ToLower(c.Target)); m != nil {
				return m[1]
			}
		}
	}
	return ""
}

func (v *view) addr() netip.Addr {
	if v.path != nil && !v.proxied() && v.path.Addr.IsValid() {
		return v.path.Addr
	}
	if l := v.dns.effective; l != nil && len(l.Addrs) > 0 {
		return l.Addrs[0]
	}
	return netip.Addr{}
}

// stands says that a connection leads to its endpoint: to the proxy alone is
// not enough.
func stands(p *probe.Path) bool {
	if p.TLS != nil {
		return p.TLS.Outcome == probe.Verified
	}
	return p.Proxy == nil && p.TCP != nil && p.TCP.Outcome == probe.Connected
}

// controls says how the connections went that have nothing to do with the
// registry: at least one stands, or none of those tried.
func (s *scene) controls() (tried, fine int) {
	for i := range s.r.Control {
		p := &s.r.Control[i]
		tried++
		if stands(p) {
			fine++
		}
	}
	return tried, fine
}

// dataHosts are the endpoints that layers come from, as far as seen.
func (s *scene) dataHosts() []string {
	var out []string
	add := func(h string) {
		if h != "" && !slices.Contains(out, h) && roleOf(h) != probe.RoleLogin {
			out = append(out, h)
		}
	}
	if b := s.blob(); b != nil {
		add(b.Host)
	}
	for i := range s.r.Paths {
		add(s.r.Paths[i].Host)
	}
	for i := range s.r.Lookups {
		if len(s.r.Lookups[i].Addrs) > 0 {
			add(s.r.Lookups[i].Name)
		}
	}
	if s.inv != nil && s.inv.Registry != nil {
		for _, h := range s.inv.Registry.DataEndpointHosts {
			add(h)
		}
	}
	return out
}

// Named is what Azure names for the probes: every data endpoint, and the
// addresses under which private endpoints serve the login server.
func Named(inv *inventory.Inventory, t probe.Target) probe.Named {
	n := probe.Named{Endpoints: map[netip.Addr]string{}}
	if inv == nil {
		return n
	}
	if inv.Registry != nil && inv.Registry.DataEndpointEnabled {
		n.DataHosts = inv.Registry.DataEndpointHosts
	}
	for i := range inv.Endpoints {
		e := &inv.Endpoints[i]
		if a := e.AddressOf(t.Host); e.Exists && a.IsValid() && len(n.Endpoints) < 4 {
			n.Endpoints[a] = t.Host
		}
	}
	return n
}
