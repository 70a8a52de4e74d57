package probe

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Suffixes of the login servers in Azure's clouds: public, US Government, China.
var suffixes = []string{"azurecr.io", "azurecr.us", "azurecr.cn"}

var (
	label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// Registry names are 5 to 50 letters and digits; registries with a domain
	// name label add a hyphen and a hash.
	registryName = regexp.MustCompile(`^[a-z0-9]{5,50}(-[a-z0-9]+)?$`)
	// OCI distribution specification 1.1, "Pulling manifests".
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestName     = regexp.MustCompile(`^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{32,}$`)
)

// ParseTarget reads what a user types: a registry's name, its login server, a
// URL of it, or an image with tag or digest. A name without a dot is a registry
// of the public cloud. A port is not accepted: every Azure Container Registry
// listens on 443.
func ParseTarget(s string) (Target, error) {
	wrong := func(format string, args ...any) (Target, error) {
		return Target{}, fmt.Errorf("registry %q: %s", s, fmt.Sprintf(format, args...))
	}
	rest := strings.TrimSpace(s)
	if i := strings.Index(rest, "://"); i >= 0 {
		if scheme := strings.ToLower(rest[:i]); scheme != "https" && scheme != "http" && scheme != "oci" && scheme != "docker" {
			return wrong("scheme %q is not one of a registry", scheme)
		}
		rest = rest[i+3:]
		// A copied address may carry the API's root.
		if host, path, _ := strings.Cut(rest, "/"); path == "v2" || path == "v2/" {
			rest = host
		}
	}
	name, path, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if name == "" {
		return wrong("no name given")
	}
	t := Target{Host: strings.ToLower(strings.TrimSuffix(name, "."))}
	if host, port, ok := strings.Cut(t.Host, ":"); ok {
		if port != "443" {
			return wrong("a login server has port 443 only, and a tag needs a repository before it")
		}
		t.Host = host
	}
	if _, err := netip.ParseAddr(strings.Trim(t.Host, "[]")); err == nil {
		return wrong("is an address; a login server is a name")
	}
	if !strings.Contains(t.Host, ".") {
		if !registryName.MatchString(t.Host) {
			return wrong("a registry's name has 5 to 50 letters and digits")
		}
		t.Host += "." + suffixes[0]
	}
	if len(t.Host) > 253 {
		return wrong("a DNS name has at most 253 characters")
	}
	for l := range strings.SplitSeq(t.Host, ".") {
		if !label.MatchString(l) {
			return wrong("%q is no DNS name", t.Host)
		}
	}
	for _, suffix := range suffixes {
		if strings.HasSuffix(t.Host, "."+suffix) {
			t.Suffix = suffix
		}
	}
	if path == "" {
		return t, nil
	}
	repo, digest, byDigest := strings.Cut(path, "@")
	repo, tag, byTag := strings.Cut(repo, ":")
	switch {
	case !repositoryName.MatchString(repo):
		return wrong("%q is no repository name", repo)
	case byTag && !tagName.MatchString(tag):
		return wrong("%q is no tag", tag)
	case byDigest && !digestName.MatchString(digest):
		return wrong("%q is no digest", digest)
	}
	t.Repository, t.Reference = repo, tag
	if byDigest {
		t.Reference = digest
	}
	return t, nil
}

// registry is the first label, the registry's name.
func (t Target) registry() string {
	name, _, _ := strings.Cut(t.Host, ".")
	return name
}

// region is that of a regional endpoint, R.<region>.geo.azurecr.io; else "".
func (t Target) region() string {
	if l := strings.Split(t.Host, "."); t.Suffix != "" && len(l) == 5 && l[2] == "geo" {
		return l[1]
	}
	return ""
}

// dataHost is the dedicated data endpoint of one region.
// https://learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints
func (t Target) dataHost(region string) string {
	suffix := t.Suffix
	if suffix == "" {
		suffix = suffixes[0]
	}
	return t.registry() + "." + region + ".data." + suffix
}
