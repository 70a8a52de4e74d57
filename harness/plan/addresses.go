package plan

import (
	"hash/fnv"
	"net/netip"

	"github.com/acrlab/acrlab/fakes/graph"
	"github.com/acrlab/acrlab/fakes/imds"
	"github.com/acrlab/acrlab/fakes/loganalytics"
	"github.com/acrlab/acrlab/harness/state"
)

// The address book of the simulated internet. Resolvers and 168.63.129.16 are
// the real ones; the others lie in ranges of the simulation's own service tags
// (servicetags.go), and sites use documentation ranges (RFC 5737).
var (
	platformDNS  = netip.MustParseAddr(state.PlatformDNS)
	platformIMDS = netip.MustParseAddr(imds.Address)
	googleDNS    = netip.MustParseAddr("8.8.8.8")
	cloudflare   = netip.MustParseAddr("1.1.1.1")

	armAddress     = netip.MustParseAddr("4.150.240.10")
	entraAddress   = netip.MustParseAddr("20.190.160.20")
	graphAddress   = netip.MustParseAddr("20.190.160.30")
	logsAddress    = netip.MustParseAddr("20.42.65.90")
	mcrAddress     = netip.MustParseAddr("150.171.69.10")
	mcrDataAddress = netip.MustParseAddr("20.98.160.10")
	controlAddress = netip.MustParseAddr("93.184.216.34")

	sitePublic     = netip.MustParseAddr("203.0.113.10")
	onPremClient   = netip.MustParseAddr("192.168.10.10")
	onPremProxy    = netip.MustParseAddr("192.168.20.10")
	internetClient = netip.MustParseAddr("198.51.100.10")
	internetProxy  = netip.MustParseAddr("198.51.100.30")

	// Links between routers use the benchmarking range (RFC 2544), which no
	// host of a scenario has.
	internetLink = linkAddresses("198.18.0.0")
	corpLink     = linkAddresses("198.18.0.4")
	vpnLink      = linkAddresses("198.18.0.8")
	outsideHop   = netip.MustParseAddr("198.18.0.13") // gateway of hosts with a public address
)

// Names of the services beside the registry.
const (
	armName     = "management.azure.com"
	entraName   = "login.microsoftonline.com"
	graphName   = graph.Host
	logsName    = loganalytics.Host
	mcrName     = "mcr.microsoft.com"
	mcrDataName = "eastus.data.mcr.microsoft.com"
	// controlName is a host of nobody's cloud, to tell a blocked Azure from a dead uplink.
	controlName = "www.example.com"

	defaultProxyName = "proxy.corp.example"
	defaultProxyPort = 3128
)

// linkAddresses are the two usable prefixes of a /30.
func linkAddresses(base string) [2]netip.Prefix {
	a := netip.MustParseAddr(base).Next()
	return [2]netip.Prefix{netip.PrefixFrom(a, 30), netip.PrefixFrom(a.Next(), 30)}
}

// defaultOutbound is the address that Azure lends a network without a NAT
// gateway. It depends on the network alone, so that other networks do not move it.
// https://learn.microsoft.com/azure/virtual-network/ip-services/default-outbound-access
func defaultOutbound(vnet string) netip.Addr {
	h := fnv.New32a()
	h.Write([]byte(state.Key(vnet)))
	n := h.Sum32() % 1000
	return netip.AddrFrom4([4]byte{20, 185, byte(100 + n/250), byte(2 + n%250)})
}
