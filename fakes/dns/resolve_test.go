package dns

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// The public chain of a registry with a private endpoint, as seen without its
// zone (support article "can't resolve the FQDN to the private address").
var public = []Record{
	{Name: "myregistry.azurecr.io", TTL: 3600, CNAME: "myregistry.privatelink.azurecr.io"},
	{Name: "myregistry.privatelink.azurecr.io", TTL: 3600, CNAME: "eus1.fe.azcr.io"},
	{Name: "eus1.fe.azcr.io", TTL: 300, CNAME: "eus-acr-reg.trafficmanager.net"},
	{Name: "eus-acr-reg.trafficmanager.net", TTL: 300, CNAME: "r0318eus-az.eastus.cloudapp.azure.com"},
	{Name: "r0318eus-az.eastus.cloudapp.azure.com", TTL: 10, A: netip.MustParseAddr("20.62.128.38")},
	{Name: "myregistry.eastus.data.azurecr.io", TTL: 3600, CNAME: "myregistry.eastus.data.privatelink.azurecr.io"},
	{Name: "myregistry.eastus.data.privatelink.azurecr.io", TTL: 10, A: netip.MustParseAddr("40.89.120.3")},
	{Name: "loop-a.example", TTL: 1, CNAME: "loop-b.example"},
	{Name: "loop-b.example", TTL: 1, CNAME: "loop-a.example"},
	{Name: "dangling.example", TTL: 1, CNAME: "nowhere.example"},
	{Name: "*.blob.core.windows.net", TTL: 60, A: netip.MustParseAddr("20.60.1.1")},
}

var client = netip.MustParseAddr("10.70.1.4")

func linked(zones ...Zone) []View {
	return []View{{Source: []netip.Prefix{netip.MustParsePrefix("10.70.0.0/16")}, Zones: zones}}
}

func TestResolve(t *testing.T) {
	privatelink := Zone{Name: "privatelink.azurecr.io", Records: []Record{
		{Name: "myregistry.privatelink.azurecr.io", TTL: 10, A: netip.MustParseAddr("10.70.4.5")}}}
	fallback := privatelink
	fallback.Fallback = true
	data := Zone{Name: "eastus.data.privatelink.azurecr.io", Records: []Record{
		{Name: "myregistry.eastus.data.privatelink.azurecr.io", TTL: 10, A: netip.MustParseAddr("10.70.4.4")}}}

	tests := map[string]struct {
		views []View
		from  netip.Addr
		name  string
		rcode RCode
		chain int
		addrs []string
		zone  string
	}{
		"without a view the public chain is followed to its end":            {name: "myregistry.azurecr.io", rcode: NoError, chain: 5, addrs: []string{"20.62.128.38"}},
		"names are compared without regard to case or a trailing dot":       {name: "MyRegistry.AzureCR.io.", rcode: NoError, chain: 5, addrs: []string{"20.62.128.38"}},
		"a linked zone answers for the alias":                               {views: linked(privatelink), from: client, name: "myregistry.azurecr.io", rcode: NoError, chain: 2, addrs: []string{"10.70.4.5"}, zone: "privatelink.azurecr.io"},
		"another network does not see the zone":                             {views: linked(privatelink), from: netip.MustParseAddr("10.80.1.4"), name: "myregistry.azurecr.io", rcode: NoError, chain: 5, addrs: []string{"20.62.128.38"}},
		"a record missing in the zone is NXDOMAIN, with the alias":          {views: linked(privatelink), from: client, name: "myregistry.eastus.data.azurecr.io", rcode: NXDomain, chain: 1, zone: "privatelink.azurecr.io"},
		"unless the zone falls back to the internet":                        {views: linked(fallback), from: client, name: "myregistry.eastus.data.azurecr.io", rcode: NoError, chain: 2, addrs: []string{"40.89.120.3"}},
		"the longest zone alone is authoritative":                           {views: linked(privatelink, data), from: client, name: "myregistry.eastus.data.azurecr.io", rcode: NoError, chain: 2, addrs: []string{"10.70.4.4"}, zone: "eastus.data.privatelink.azurecr.io"},
		"an empty linked zone hides the public record":                      {views: linked(Zone{Name: "privatelink.azurecr.io"}), from: client, name: "myregistry.azurecr.io", rcode: NXDomain, chain: 1, zone: "privatelink.azurecr.io"},
		"a zone over the registry's own domain hides everything below it":   {views: linked(Zone{Name: "azurecr.io"}), from: client, name: "myregistry.azurecr.io", rcode: NXDomain, zone: "azurecr.io"},
		"the apex of a zone exists":                                         {views: linked(Zone{Name: "azurecr.io"}), from: client, name: "azurecr.io", rcode: NoData, zone: "azurecr.io"},
		"a name above one that has records exists":                          {name: "privatelink.azurecr.io", rcode: NoData},
		"an unknown name is NXDOMAIN":                                       {name: "other.azurecr.io", rcode: NXDomain},
		"an alias that leads nowhere is NXDOMAIN":                           {name: "dangling.example", rcode: NXDomain, chain: 1},
		"a loop of aliases is SERVFAIL":                                     {name: "loop-a.example", rcode: RCodeServFail},
		"a wildcard answers for names below it":                             {name: "eusmanaged15.blob.core.windows.net", rcode: NoError, chain: 1, addrs: []string{"20.60.1.1"}},
		"an IPv4 asker in IPv6 form is the same asker":                      {views: linked(privatelink), from: netip.MustParseAddr("::ffff:10.70.1.4"), name: "myregistry.azurecr.io", rcode: NoError, chain: 2, addrs: []string{"10.70.4.5"}, zone: "privatelink.azurecr.io"},
		"a suffix that ends within a label is no zone of the name":          {views: linked(Zone{Name: "link.azurecr.io"}), from: client, name: "myregistry.azurecr.io", rcode: NoError, chain: 5, addrs: []string{"20.62.128.38"}},
		"a zone in the middle of the public chain is authoritative as well": {views: linked(Zone{Name: "trafficmanager.net"}), from: client, name: "myregistry.azurecr.io", rcode: NXDomain, chain: 3, zone: "trafficmanager.net"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(public, tc.views, tc.from, tc.name)
			require.NoError(t, err)
			var addrs []string
			for _, a := range got.Addrs() {
				addrs = append(addrs, a.String())
			}
			require.Equal(t, tc.rcode, got.RCode)
			require.Equal(t, tc.addrs, addrs)
			require.Len(t, got.Records, tc.chain)
			require.Equal(t, tc.zone, got.Zone)
		})
	}
}

func TestCompileNamesWhatIsWrong(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"unknown behaviour":       {Config{Behaviour: "drop"}, `behaviour "drop"`},
		"neither CNAME nor A":     {Config{Records: []Record{{Name: "a.example"}}}, "record a.example: exactly one of cname and a"},
		"both CNAME and A":        {Config{Records: []Record{{Name: "a.example", A: a, CNAME: "b.example"}}}, "exactly one"},
		"CNAME beside A":          {Config{Records: []Record{{Name: "a.example", A: a}, {Name: "a.example", CNAME: "b.example"}}}, "RFC 1034"},
		"IPv6 address":            {Config{Records: []Record{{Name: "a.example", A: netip.MustParseAddr("2001:db8::1")}}}, "not an IPv4 address"},
		"record outside its zone": {Config{Views: linked(Zone{Name: "z.example", Records: []Record{{Name: "a.example", A: a}}})}, "zone z.example: record a.example is not below z.example"},
		"forwarder nowhere":       {Config{Forward: []Forward{{Suffix: "."}}}, "forwarder of \".\" has no address"},
		"empty label":             {Config{Records: []Record{{Name: "a..example", A: a}}}, `label ""`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := compile(tc.cfg)
			require.ErrorContains(t, err, tc.want)
		})
	}
}
