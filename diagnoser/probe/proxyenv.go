package probe

import (
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// proxySettings is a [ProxySettings] with what must not be shown: the proxy's
// credentials.
type proxySettings struct {
	shown ProxySettings
	raw   string // HTTPS_PROXY as written
}

// proxyFromEnviron reads the variables as Go's net/http does, which Docker,
// containerd, crane and oras share: upper case first.
func proxyFromEnviron(environ []string, from string) proxySettings {
	get := func(names ...string) (value, name string) {
		for _, n := range names {
			for _, kv := range environ {
				if v, ok := strings.CutPrefix(kv, n+"="); ok && v != "" {
					return v, n
				}
			}
		}
		return "", ""
	}
	raw, name := get("HTTPS_PROXY", "https_proxy")
	noProxy, noProxyName := get("NO_PROXY", "no_proxy")
	if name == "" {
		name = noProxyName
	}
	if name != "" {
		from += " " + name
	}
	p := newProxySettings(raw, noProxy, from)
	// curl and Python read the lower case variable first: two values mean two
	// ways on one machine.
	if lower, _ := get("https_proxy"); lower != "" && lower != raw {
		p.shown.Conflict = fmt.Sprintf("HTTPS_PROXY is %s, https_proxy is %s", withoutUserinfo(raw), withoutUserinfo(lower))
	}
	return p
}

func newProxySettings(raw, noProxy, from string) proxySettings {
	p := proxySettings{raw: raw, shown: ProxySettings{HTTPSProxy: withoutUserinfo(raw), NoProxy: noProxy, From: strings.TrimSpace(from)}}
	if raw == "" && noProxy == "" {
		p.shown.From = ""
	}
	if raw != "" {
		if _, err := parseProxy(raw); err != nil {
			p.shown.Malformed = err.Error()
		}
	}
	return p
}

// proxyFor says whether requests to https://host:443 go through the proxy,
// by the rules of golang.org/x/net/http/httpproxy for NO_PROXY.
func (p proxySettings) proxyFor(host string) bool {
	if p.raw == "" {
		return false
	}
	// The value itself is replaced: whether it is well formed is told
	// separately and does not change who is exempted.
	c := httpproxy.Config{HTTPSProxy: "http://proxy.invalid:1", NoProxy: p.shown.NoProxy}
	u, err := c.ProxyFunc()(&url.URL{Scheme: "https", Host: host})
	return err == nil && u != nil
}

// parseProxy reads a proxy setting as Go does: without a scheme it is http.
func parseProxy(raw string) (*url.URL, error) {
	shown := withoutUserinfo(raw)
	if strings.ContainsAny(raw, "\\") {
		return nil, fmt.Errorf("%q has backslashes where a URL has slashes", shown)
	}
	if strings.ContainsAny(raw, " \t\"'") {
		return nil, fmt.Errorf("%q has blanks or quotation marks in it", shown)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Host == "" {
		if v, err2 := url.Parse("http://" + raw); err2 == nil && !strings.Contains(raw, "://") {
			u, err = v, nil
		}
	}
	if err != nil {
		// The error of package url repeats the value, credentials included.
		return nil, fmt.Errorf("%q is no URL", shown)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, fmt.Errorf("%q has the scheme %q, not http or https", shown, u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%q names no host", shown)
	}
	if !strings.Contains(raw, "://") && strings.Contains(strings.TrimSuffix(raw, "/"), "/") {
		return nil, fmt.Errorf("%q lacks the colon of a URL and reads as the host %q", shown, u.Hostname())
	}
	if strings.Contains(u.Host, ":") && !strings.HasSuffix(u.Host, "]") && u.Port() == "" {
		return nil, fmt.Errorf("%q has no port after the colon", shown)
	}
	if u.Port() != "" && portOf(u) == 0 {
		return nil, fmt.Errorf("%q has no valid port", shown)
	}
	return u, nil
}
