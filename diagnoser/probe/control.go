package probe

import "context"

// control are servers that must be reachable if the network as a whole works,
// and that clients need besides the registry.
type controlHost struct {
	host, get string
	role      EndpointRole
}

// controlHosts by the suffix of the cloud.
// https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure
// https://learn.microsoft.com/azure/china/resources-developer-guide
func controlHosts(suffix string) []controlHost {
	const discovery = "/common/v2.0/.well-known/openid-configuration"
	switch suffix {
	case "azurecr.us":
		return []controlHost{{"mcr.microsoft.com", "/v2/", RoleMCR},
			{"login.microsoftonline.us", discovery, RoleEntra}, {"management.usgovcloudapi.net", "/", RoleARM}}
	case "azurecr.cn":
		return []controlHost{{"mcr.azure.cn", "/v2/", RoleMCR},
			{"login.chinacloudapi.cn", discovery, RoleEntra}, {"management.chinacloudapi.cn", "/", RoleARM}}
	}
	return []controlHost{{"mcr.microsoft.com", "/v2/", RoleMCR},
		{"login.microsoftonline.com", discovery, RoleEntra}, {"management.azure.com", "/", RoleARM}}
}

// control probes them by the shell's way, and Microsoft Artifact Registry by
// the container engine's too.
func (r *run) control(context.Context) {
	for _, c := range controlHosts(r.t.Suffix) {
		ep := endpoint{host: c.host, role: c.role, get: c.get, once: true}
		for _, w := range r.ways(c.host) {
			if w.shell && w.via != Direct && c.role == RoleMCR {
				// Does this place know names of the internet at all? Behind a proxy
				// it need not, and then its denials say nothing.
				r.required.start(func(ctx context.Context) { r.own(ctx, c.host, false) })
			}
			if !w.shell && !(w.daemon && c.role == RoleMCR) {
				continue
			}
			if c.role != RoleMCR {
				w.daemon = false
			}
			r.required.start(func(ctx context.Context) {
				for at := range r.approach(ctx, ep, w) {
					at.close()
					r.learnTime(at.head)
					r.mu.Lock()
					r.report.Control = append(r.report.Control, *at.path)
					r.mu.Unlock()
				}
			})
		}
	}
}
