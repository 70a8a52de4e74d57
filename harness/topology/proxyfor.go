package topology

import (
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// ProxyFor is the proxy that these settings choose for https://host, nil if
// they choose none or cannot be read. NO_PROXY is matched as Go clients do.
func (p ProxySettings) ProxyFor(host string) *url.URL {
	cfg := httpproxy.Config{HTTPSProxy: p.HTTPSProxy, NoProxy: p.NoProxy}
	u, err := cfg.ProxyFunc()(&url.URL{Scheme: "https", Host: host})
	if err != nil {
		return nil
	}
	return u
}
