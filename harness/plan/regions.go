package plan

import (
	"fmt"
	"math"
	"net/netip"
)

// region is an Azure region as the simulation knows it. Short is what stamps of
// the registry service are named after: "eus", "weu", "sec", "cac" are observed
// in public DNS answers, the others follow the pattern. The coordinates are
// rough: they serve to say which of two regions is nearer.
type region struct {
	name, short string
	lat, lon    float64
	// acr holds the service's front ends, storage its layer accounts. The first
	// three bytes of a /24 each.
	acr, storage [3]byte
}

var regions = makeRegions()

func makeRegions() map[string]region {
	m := map[string]region{}
	for i, r := range []region{
		{name: "eastus", short: "eus", lat: 37, lon: -79},
		{name: "eastus2", short: "eus2", lat: 36.7, lon: -78.4},
		{name: "centralus", short: "cus", lat: 41.6, lon: -93.6},
		{name: "northcentralus", short: "ncus", lat: 41.9, lon: -87.6},
		{name: "southcentralus", short: "scus", lat: 29.4, lon: -98.5},
		{name: "westcentralus", short: "wcus", lat: 40.9, lon: -110},
		{name: "westus", short: "wus", lat: 37.8, lon: -122.4},
		{name: "westus2", short: "wus2", lat: 47.2, lon: -119.9},
		{name: "westus3", short: "wus3", lat: 33.4, lon: -112.1},
		{name: "canadacentral", short: "cac", lat: 43.7, lon: -79.4},
		{name: "canadaeast", short: "cae", lat: 46.8, lon: -71.2},
		{name: "mexicocentral", short: "mxc", lat: 20.6, lon: -100.4},
		{name: "brazilsouth", short: "brs", lat: -23.5, lon: -46.6},
		{name: "chilecentral", short: "clc", lat: -33.4, lon: -70.7},
		{name: "northeurope", short: "neu", lat: 53.3, lon: -6.3},
		{name: "westeurope", short: "weu", lat: 52.4, lon: 4.9},
		{name: "uksouth", short: "uks", lat: 50.9, lon: -0.8},
		{name: "ukwest", short: "ukw", lat: 53.4, lon: -3.1},
		{name: "francecentral", short: "frc", lat: 46.4, lon: 2.4},
		{name: "germanywestcentral", short: "gwc", lat: 50.1, lon: 8.7},
		{name: "switzerlandnorth", short: "szn", lat: 47.5, lon: 8.6},
		{name: "italynorth", short: "itn", lat: 45.5, lon: 9.2},
		{name: "spaincentral", short: "spc", lat: 40.4, lon: -3.8},
		{name: "austriaeast", short: "aue", lat: 48.2, lon: 16.4},
		{name: "polandcentral", short: "plc", lat: 52.2, lon: 21},
		{name: "swedencentral", short: "sec", lat: 60.7, lon: 17.1},
		{name: "norwayeast", short: "nwe", lat: 59.9, lon: 10.7},
		{name: "uaenorth", short: "uan", lat: 25.3, lon: 55.3},
		{name: "qatarcentral", short: "qac", lat: 25.6, lon: 51.4},
		{name: "israelcentral", short: "ilc", lat: 31.3, lon: 33.4},
		{name: "southafricanorth", short: "san", lat: -25.7, lon: 28.2},
		{name: "centralindia", short: "inc", lat: 18.6, lon: 73.9},
		{name: "southindia", short: "ins", lat: 13, lon: 80.2},
		{name: "westindia", short: "inw", lat: 19.1, lon: 72.9},
		{name: "southeastasia", short: "sea", lat: 1.3, lon: 103.8},
		{name: "eastasia", short: "eas", lat: 22.3, lon: 114.2},
		{name: "indonesiacentral", short: "idc", lat: -6.2, lon: 106.8},
		{name: "malaysiawest", short: "myw", lat: 3.1, lon: 101.7},
		{name: "japaneast", short: "jpe", lat: 35.7, lon: 139.8},
		{name: "japanwest", short: "jpw", lat: 34.7, lon: 135.5},
		{name: "koreacentral", short: "krc", lat: 37.6, lon: 127},
		{name: "koreasouth", short: "krs", lat: 35.2, lon: 129},
		{name: "australiaeast", short: "eau", lat: -33.9, lon: 151.2},
		{name: "australiasoutheast", short: "ase", lat: -37.8, lon: 145},
		{name: "australiacentral", short: "acl", lat: -35.3, lon: 149.1},
		{name: "newzealandnorth", short: "nzn", lat: -36.8, lon: 174.8},
	} {
		r.acr, r.storage = [3]byte{20, 62, byte(128 + i)}, [3]byte{20, 60, byte(i)}
		if r.name == "swedencentral" {
			r.acr = [3]byte{51, 12, 25} // 51.12.25.66 is a published answer
		}
		m[r.name] = r
	}
	return m
}

func regionOf(name string) (region, error) {
	r, ok := regions[name]
	if !ok {
		return region{}, fmt.Errorf("the simulation has no region %q", name)
	}
	return r, nil
}

// login, data and blob are the addresses of the n-th registry's endpoints.
// 20.62.128.38 is the address of eastus in Microsoft's own example.
// https://learn.microsoft.com/troubleshoot/azure/azure-container-registry/cant-resolve-container-registry-fqdn-private-ip-address
func (r region) login(n int) netip.Addr {
	if r.name == "swedencentral" {
		return at(r.acr, 66+n)
	}
	return at(r.acr, 38+n)
}
func (r region) data(n int) netip.Addr { return at(r.acr, 130+n) }
func (r region) blob(n int) netip.Addr { return at(r.storage, 132+n) }

func (r region) acrPrefix() netip.Prefix     { return netip.PrefixFrom(at(r.acr, 0), 24) }
func (r region) storagePrefix() netip.Prefix { return netip.PrefixFrom(at(r.storage, 0), 24) }

func at(block [3]byte, last int) netip.Addr {
	return netip.AddrFrom4([4]byte{block[0], block[1], block[2], byte(last)})
}

// nearest is the region of list that is closest to from, the first of equals;
// from itself if it is in the list. Traffic Manager's performance routing does
// the same by latency. An unknown from gives the first.
func nearest(from string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	best, least := list[0], math.Inf(1)
	a, known := regions[from]
	for _, name := range list {
		if name == from {
			return name
		}
		b, ok := regions[name]
		if !known || !ok {
			continue
		}
		if d := distance(a, b); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the central angle between two regions.
func distance(a, b region) float64 {
	rad := math.Pi / 180
	c := math.Sin(a.lat*rad)*math.Sin(b.lat*rad) + math.Cos(a.lat*rad)*math.Cos(b.lat*rad)*math.Cos((a.lon-b.lon)*rad)
	return math.Acos(min(1, max(-1, c)))
}
