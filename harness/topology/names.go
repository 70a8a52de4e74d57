package topology

import (
	"fmt"
	"regexp"
	"strings"
)

// Names become parts of ARM resource ids, host names, rule names and file
// names, so they are held to what Azure takes.
var (
	// Microsoft.Network names: letters, digits, underscore, dot and dash; begin
	// with a letter or digit, end with a letter, digit or underscore; at most 80.
	// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftnetwork
	networkName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)
	// Microsoft.ContainerRegistry: 5 to 50 alphanumerics (same page).
	registryName = regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`)
	// Azure regions in their short form, e.g. "eastus2".
	regionName = regexp.MustCompile(`^[a-z][a-z0-9]{2,39}$`)
	// Distribution specification, "Pulling manifests": <name> and <reference>.
	// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	// A folder of the catalogue.
	scenarioName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	// Microsoft.ManagedIdentity: letters, digits, dashes and underscores; begin
	// with a letter or digit; 3 to 128 (same page).
	identityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`)
	dnsLabel     = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	serviceTag   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9]+)*$`)
)

// checkName judges the key of a mapping by name; at is the mapping's path in a
// scenario or a topology.
func checkName(at path, name string) error {
	if len(at) == 0 {
		return nil
	}
	switch at[len(at)-1] {
	case "privateDnsZones":
		return checkDNSName(name, false)
	case "hosts":
		return checkDNSName(name, false)
	case "forwarders":
		if name == "." {
			return nil
		}
		return checkDNSName(name, false)
	case "records":
		if name == "@" {
			return nil
		}
		return checkDNSName(strings.TrimPrefix(name, "*."), false)
	case "replications":
		if !regionName.MatchString(name) {
			return fmt.Errorf("%q is no region; regions are written like eastus", name)
		}
	case "repositories":
		if len(name) > 255 || !repositoryName.MatchString(name) {
			return fmt.Errorf("%q is no repository name; it is lower case, like samples/hello-world", name)
		}
	case "addresses":
		return nil // member names are checked against the registry's regions
	case "client":
		return nil // checked against the clients that acrlab has
	default:
		if !networkName.MatchString(name) || strings.Contains(name, "..") {
			return fmt.Errorf("%q is no valid Azure name; use letters, digits, dash, underscore and dot, at most 80, beginning with a letter or digit", name)
		}
	}
	return nil
}

// checkDNSName judges a name by RFC 1035 section 2.3.4, underscores allowed.
// With wildcard the first label may be "*".
func checkDNSName(name string, wildcard bool) error {
	rest := name
	if wildcard {
		rest = strings.TrimPrefix(rest, "*.")
	}
	if len(rest) == 0 || len(rest) > 253 {
		return fmt.Errorf("%q is no DNS name", name)
	}
	for label := range strings.SplitSeq(rest, ".") {
		if !dnsLabel.MatchString(label) {
			if strings.HasSuffix(name, ".") {
				return fmt.Errorf("%q: write DNS names without the final dot", name)
			}
			if strings.Contains(name, "*") {
				return fmt.Errorf("%q: a wildcard cannot stand here", name)
			}
			return fmt.Errorf("%q is no DNS name", name)
		}
	}
	return nil
}
