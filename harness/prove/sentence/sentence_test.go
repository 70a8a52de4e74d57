package sentence

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSentencesMeanWhatTheySay(t *testing.T) {
	a := netip.MustParseAddr
	for text, want := range map[string]Sentence{
		"client resolves R.azurecr.io to a public address":                 {Kind: Resolve, Outcome: Public, Host: "client", Name: "r.azurecr.io"},
		"client resolves r.azurecr.io to a private address":                {Kind: Resolve, Outcome: Private, Host: "client", Name: "r.azurecr.io"},
		"dns-dns1 resolves r.azurecr.io to 10.0.2.5":                       {Kind: Resolve, Outcome: ToAddress, Host: "dns-dns1", Name: "r.azurecr.io", Address: a("10.0.2.5")},
		"asking 168.63.129.16, client resolves r.io to a private address":  {Kind: Resolve, Outcome: Private, Host: "client", Name: "r.io", Resolver: a("168.63.129.16")},
		"client gets NXDOMAIN for r.azurecr.io":                            {Kind: Lookup, Outcome: NXDomain, Host: "client", Name: "r.azurecr.io"},
		"client gets NODATA for r.azurecr.io":                              {Kind: Lookup, Outcome: NoData, Host: "client", Name: "r.azurecr.io"},
		"client gets SERVFAIL for r.azurecr.io":                            {Kind: Lookup, Outcome: ServFail, Host: "client", Name: "r.azurecr.io"},
		"client gets REFUSED for r.azurecr.io":                             {Kind: Lookup, Outcome: Refused, Host: "client", Name: "r.azurecr.io"},
		"asking 10.0.0.9, client gets no answer for r.azurecr.io":          {Kind: Lookup, Outcome: NoAnswer, Host: "client", Name: "r.azurecr.io", Resolver: a("10.0.0.9")},
		"CNAME chain of r.azurecr.io passes r.privatelink.azurecr.io":      {Kind: Chain, Outcome: Passes, Name: "r.azurecr.io", Through: "r.privatelink.azurecr.io"},
		"asking 1.1.1.1, from fw, CNAME chain of a.b passes c.d":           {Kind: Chain, Outcome: Passes, Host: "fw", Name: "a.b", Through: "c.d", Resolver: a("1.1.1.1")},
		"client connects to r.azurecr.io:443":                              {Kind: Connect, Outcome: Connected, Host: "client", Name: "r.azurecr.io", Port: 443},
		"client  gets no answer from 10.0.2.5:443":                         {Kind: Connect, Outcome: NoAnswer, Host: "client", Name: "10.0.2.5", Port: 443},
		"client is refused by r.azurecr.io:443":                            {Kind: Connect, Outcome: Reset, Host: "client", Name: "r.azurecr.io", Port: 443},
		"client is told r.azurecr.io:443 is unreachable":                   {Kind: Connect, Outcome: Unreachable, Host: "client", Name: "r.azurecr.io", Port: 443},
		"TLS to r.azurecr.io:443 is verified":                              {Kind: TLS, Outcome: Verified, Name: "r.azurecr.io", Port: 443},
		"from proxy, TLS to r.azurecr.io:443 is reset":                     {Kind: TLS, Outcome: Reset, Host: "proxy", Name: "r.azurecr.io", Port: 443},
		"TLS to r.azurecr.io:443 naming www.example.com is closed":         {Kind: TLS, Outcome: Closed, Name: "r.azurecr.io", Port: 443, ServerName: "www.example.com"},
		"TLS to r.azurecr.io:443 is silent":                                {Kind: TLS, Outcome: Silent, Name: "r.azurecr.io", Port: 443},
		"TLS to r.azurecr.io:443 is not trusted":                           {Kind: TLS, Outcome: NotTrusted, Name: "r.azurecr.io", Port: 443},
		"TLS to r.azurecr.io:443 is not valid for its name":                {Kind: TLS, Outcome: WrongName, Name: "r.azurecr.io", Port: 443},
		"TLS to r.azurecr.io:443 is signed by Corp Example Inspection CA":  {Kind: TLS, Outcome: SignedBy, Name: "r.azurecr.io", Port: 443, Issuer: "Corp Example Inspection CA"},
		"r.azurecr.io answers 401":                                         {Kind: HTTP, Outcome: Status, Name: "r.azurecr.io", Status: 401},
		"r.azurecr.io answers 403 DENIED":                                  {Kind: HTTP, Outcome: Status, Name: "r.azurecr.io", Status: 403, Denied: true},
		"r.azurecr.io answers 403 DENIED for 203.0.113.10":                 {Kind: HTTP, Outcome: Status, Name: "r.azurecr.io", Status: 403, Denied: true, Address: a("203.0.113.10")},
		"proxy answers 403 for r.azurecr.io:443":                           {Kind: Proxy, Outcome: Status, Name: "r.azurecr.io", Port: 443, Status: 403},
		"proxy closes for r.azurecr.io:443":                                {Kind: Proxy, Outcome: Closed, Name: "r.azurecr.io", Port: 443},
		"proxy is silent for r.azurecr.io:443":                             {Kind: Proxy, Outcome: Silent, Name: "r.azurecr.io", Port: 443},
		"azure rule nsg-nsg-deny-registry counts packets":                  {Kind: Count, Outcome: Positive, Host: "azure", Rule: "nsg-nsg-deny-registry"},
		"from azure, r.azurecr.io answers 403 DENIED for 2001:db8::1":      {Kind: HTTP, Outcome: Status, Host: "azure", Name: "r.azurecr.io", Status: 403, Denied: true, Address: a("2001:db8::1")},
		"client resolves myregistry.eastus.data.azurecr.io to 20.62.128.3": {Kind: Resolve, Outcome: ToAddress, Host: "client", Name: "myregistry.eastus.data.azurecr.io", Address: a("20.62.128.3")},
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		want.Text = strings.Join(strings.Fields(text), " ")
		require.Equal(t, want, got, text)
	}
}

func TestEveryFormIsReadable(t *testing.T) {
	words := strings.NewReplacer("[", "", "]", "", "RESOLVER", "10.0.0.4", "HOST", "client", "NAME2", "b.example",
		"CNAME chain", "CNAME chain", "NAME", "a.example", "SNI", "c.example", "PORT", "443", "ADDRESS", "10.0.0.5", "STATUS", "403",
		"by CN", "by Some CA", "RULE", "corp-default")
	for i, f := range Forms() {
		text := words.Replace(f)
		s, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, forms[i].kind, s.Kind, text)
		require.Equal(t, forms[i].outcome, s.Outcome, text)
	}
}

func TestWhatIsNoSentenceIsAnsweredWithTheClosestForm(t *testing.T) {
	for text, want := range map[string]string{
		"":                                         "the sentence is empty",
		"client resolves a.b to public":            `closest form is "[asking RESOLVER, ]HOST resolves NAME to a public address"`,
		"client cannot reach r.azurecr.io:443":     `closest form is "HOST`,
		"TLS to a.b:443 is verifed":                `closest form is "[from HOST, ]TLS to NAME:PORT[ naming SNI] is verified"`,
		"client connects to a.b:70000":             `"70000" is no port`,
		"client connects to a.b:0":                 `"0" is no port`,
		"client connects to registry:443":          `"registry" is no full DNS name`,
		"client connects to a..b:443":              `"a..b" is no DNS name`,
		"asking 1.2.3, client gets NODATA for a.b": `"1.2.3" is no IP address`,
		"a.b answers 999":                          `"999" is no HTTP status`,
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "\n")
	}
}

func FuzzParse(f *testing.F) {
	for _, form := range Forms() {
		f.Add(form)
	}
	f.Add("asking 168.63.129.16, client resolves r.io to a private address")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err == nil {
			again, err := Parse(s.Text)
			require.NoError(t, err)
			require.Equal(t, s, again)
		}
	})
}
