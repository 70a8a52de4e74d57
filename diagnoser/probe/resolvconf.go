package probe

import (
	"net/netip"
	"strconv"
	"strings"
)

// ParseResolvConf reads the name servers of resolv.conf(5), at most three as
// the C library does; without any it is the one on the local host.
func ParseResolvConf(b []byte) []netip.Addr {
	var servers []netip.Addr
	for line := range strings.Lines(string(b)) {
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(servers) == 3 {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			servers = append(servers, a.Unmap())
		}
	}
	if len(servers) == 0 {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return servers
}

// ParseHosts reads hosts(5). Names are lower case, without a final dot.
func ParseHosts(b []byte) map[string][]netip.Addr {
	hosts := map[string][]netip.Addr{}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		a, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		for _, name := range f[1:] {
			name = strings.TrimSuffix(strings.ToLower(name), ".")
			hosts[name] = append(hosts[name], a.Unmap())
		}
	}
	return hosts
}

// parseSearch reads the domains that names are completed with, the last line
// counting, and the number of dots from which a name is tried as it is first.
func parseSearch(b []byte) (domains []string, ndots int) {
	ndots = 1
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "search", "domain":
			domains = nil
			for _, d := range f[1:] {
				if d = plain(d); d != "" && len(domains) < 6 {
					domains = append(domains, d)
				}
			}
		case "options":
			for _, o := range f[1:] {
				if v, ok := strings.CutPrefix(o, "ndots:"); ok {
					if n, err := strconv.Atoi(v); err == nil {
						ndots = min(max(n, 0), 15)
					}
				}
			}
		}
	}
	return domains, ndots
}
