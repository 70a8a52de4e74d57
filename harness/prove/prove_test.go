package prove

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/harness/plan"
)

// expect checks sentences that hold, and, as "sentence => what is seen
// instead", sentences that do not.
func expect(t *testing.T, w *testWorld, n *plan.Network, sentences ...string) {
	t.Helper()
	for _, s := range sentences {
		text, want, fails := strings.Cut(s, " => ")
		o, err := Parse(text)
		require.NoError(t, err)
		err = o.Check(t.Context(), w, n)
		if !fails {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, fmt.Sprintf("%q does not hold: ", o.Text))
	}
}

func TestLookups(t *testing.T) {
	w := newWorld(t)
	w.dns("168.63.129.16:53", mdns.RcodeNameError,
		"r.azurecr.io. 60 IN CNAME r.privatelink.azurecr.io.", "r.privatelink.azurecr.io. 10 IN A 10.0.2.5",
		"public.example. 60 IN A 20.62.128.38", "large.example. 60 IN A 20.0.0.1", "pinned.example. 60 IN A 20.0.0.2",
		"empty.example. 60 IN CNAME nowhere.example.")
	w.dns("8.8.8.8:53", mdns.RcodeServerFailure)
	w.dns("9.9.9.9:53", mdns.RcodeRefused)
	w.dns("7.7.7.7:53", -1)
	expect(t, w, network(),
		"client resolves r.azurecr.io to a private address",
		"client resolves r.azurecr.io to 10.0.2.5",
		"client resolves R.azurecr.io to a public address => client got 10.0.2.5 from 168.63.129.16 for r.azurecr.io",
		"client resolves r.azurecr.io to 10.0.2.4 => client got 10.0.2.5",
		"client resolves public.example to a public address",
		"client resolves public.example to a private address => client got 20.62.128.38",
		"client resolves missing.example to a public address => client got NXDOMAIN from 168.63.129.16",
		"client resolves pinned.example to 10.9.9.9",
		"asking 168.63.129.16, client resolves pinned.example to 20.0.0.2",
		"client resolves large.example to 20.0.0.1",
		"CNAME chain of r.azurecr.io passes r.privatelink.azurecr.io",
		"CNAME chain of public.example passes x.example => the chain of public.example is public.example",
		"CNAME chain of r.azurecr.io passes x.example => the chain of r.azurecr.io is r.azurecr.io -> r.privatelink.azurecr.io",
		"client gets NXDOMAIN for missing.example",
		"client gets NXDOMAIN for public.example => client got 20.62.128.38",
		"client gets NODATA for empty.example",
		"client gets NODATA for missing.example => client got NXDOMAIN",
		"asking 8.8.8.8, client gets SERVFAIL for a.example",
		"asking 9.9.9.9, client gets REFUSED for a.example",
		"asking 9.9.9.9, client gets SERVFAIL for a.example => client got REFUSED from 9.9.9.9",
		"asking 168.63.129.16, client gets no answer for missing.example => client got NXDOMAIN",
		"no-resolver gets NXDOMAIN for a.example => reading /etc/resolv.conf of no-resolver: it names no nameserver",
		"nobody gets NXDOMAIN for a.example => the network has no host \"nobody\"; it has [client",
	)
}

func TestSilentResolvers(t *testing.T) {
	w := newWorld(t)
	w.dns("168.63.129.16:53", mdns.RcodeNameError, "a.example. 60 IN A 20.0.0.1")
	w.dns("7.7.7.7:53", -1)
	w.udp["6.6.6.6:53"] = "refused"
	expect(t, w, network(),
		"asking 7.7.7.7, client gets no answer for a.example",
		"asking 6.6.6.6, client gets no answer for a.example",
		"asking 6.6.6.6, client gets NXDOMAIN for a.example => client got no answer from 6.6.6.6",
		"two-resolvers resolves a.example to 20.0.0.1",
	)
}

func TestConnections(t *testing.T) {
	w := newWorld(t)
	w.dns("168.63.129.16:53", mdns.RcodeNameError, "open.example. 60 IN A 20.0.0.1", "both.example. 60 IN A 20.0.0.1", "both.example. 60 IN A 20.0.0.2")
	w.serve("20.0.0.1:443", func(net.Conn) {})
	w.tcp["20.0.0.2:443"] = "silence"
	w.tcp["20.0.0.3:443"] = "refused"
	w.tcp["20.0.0.4:443"] = "unreachable"
	expect(t, w, network(),
		"client connects to open.example:443",
		"client is refused by open.example:443 => connecting to open.example at 20.0.0.1:443: it connected",
		"client gets no answer from 20.0.0.1:443 => it connected",
		"client gets no answer from 20.0.0.2:443",
		"client gets no answer from 20.0.0.3:443 => it was refused",
		"client is refused by 20.0.0.3:443",
		"client is refused by 20.0.0.4:443 => it was told that the address is unreachable",
		"client is told 20.0.0.4:443 is unreachable",
		"client connects to 20.0.0.4:443 => it was told that the address is unreachable",
		"client connects to missing.example:443 => client cannot resolve missing.example: NXDOMAIN",
	)
}

func TestHandshakes(t *testing.T) {
	azure, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	corp, err := pki.New(pki.CorpSubject)
	require.NoError(t, err)
	w := newWorld(t)
	w.trust = azure.PEM()
	w.dns("168.63.129.16:53", mdns.RcodeNameError, "r.azurecr.io. 60 IN A 20.0.0.1", "r.privatelink.azurecr.io. 60 IN A 20.0.0.1")
	w.https("20.0.0.1:443", azure, 401, "", "*.azurecr.io")
	w.https("20.0.0.2:443", corp, 200, "", "r.azurecr.io")
	hello := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }
	w.serve("20.0.0.3:443", func(c net.Conn) {
		hello(c)
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	w.serve("20.0.0.4:443", func(c net.Conn) {
		// All of it is read, since unread bytes would turn the FIN into a RST.
		buf := make([]byte, 1<<16)
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for err := error(nil); err == nil; {
			_, err = c.Read(buf)
		}
	})
	w.serve("20.0.0.5:443", func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<16)); _, _ = c.Read(make([]byte, 1)) })
	w.serve("20.0.0.6:443", func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH\r\n")); hello(c) })
	expect(t, w, network(),
		"TLS to r.azurecr.io:443 is verified",
		"TLS to r.azurecr.io:443 is signed by Microsoft Azure RSA TLS Issuing CA 03",
		"TLS to r.azurecr.io:443 is not trusted => the certificate of \"Microsoft Azure RSA TLS Issuing CA 03\" is in order",
		"TLS to r.azurecr.io:443 is reset => came to its end",
		"TLS to r.privatelink.azurecr.io:443 is not valid for its name",
		"TLS to r.privatelink.azurecr.io:443 is verified => certificate is valid for *.azurecr.io, not r.privatelink.azurecr.io",
		"TLS to 20.0.0.2:443 naming r.azurecr.io is not trusted",
		"TLS to 20.0.0.2:443 naming r.azurecr.io is signed by Corp Example TLS Inspection CA",
		"TLS to 20.0.0.2:443 naming r.azurecr.io is verified => certificate signed by unknown authority",
		"TLS to 20.0.0.2:443 naming r.azurecr.io is signed by Azure => is signed by \"Corp Example TLS Inspection CA\"",
		"TLS to 20.0.0.3:443 naming r.azurecr.io is reset",
		"TLS to 20.0.0.3:443 naming r.azurecr.io is closed => was reset",
		"TLS to 20.0.0.4:443 naming r.azurecr.io is closed",
		"TLS to 20.0.0.4:443 naming r.azurecr.io is verified => was closed by the other side",
		"TLS to 20.0.0.5:443 naming r.azurecr.io is silent",
		"TLS to 20.0.0.1:443 naming r.azurecr.io is silent => came to its end",
		"TLS to 20.0.0.6:443 naming r.azurecr.io is closed => failed",
	)
}

func TestAnswersOfTheRegistry(t *testing.T) {
	azure, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	w := newWorld(t)
	w.trust = azure.PEM()
	w.dns("168.63.129.16:53", mdns.RcodeNameError, "in.azurecr.io. 60 IN A 20.0.0.1", "out.azurecr.io. 60 IN A 20.0.0.2", "html.azurecr.io. 60 IN A 20.0.0.3")
	w.https("20.0.0.1:443", azure, 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, "*.azurecr.io")
	w.https("20.0.0.2:443", azure, 403, `{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.10' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`+"\n", "*.azurecr.io")
	w.https("20.0.0.3:443", azure, 403, "<html>Blocked</html>", "*.azurecr.io")
	expect(t, w, network(),
		"in.azurecr.io answers 401",
		"in.azurecr.io answers 403 => answered 401 UNAUTHORIZED",
		"out.azurecr.io answers 403",
		"out.azurecr.io answers 403 DENIED",
		"out.azurecr.io answers 403 DENIED for 203.0.113.10",
		"out.azurecr.io answers 403 DENIED for 203.0.113.11 => client with IP '203.0.113.10'",
		"html.azurecr.io answers 403 DENIED => answered 403",
		"missing.azurecr.io answers 401 => client cannot resolve missing.azurecr.io",
	)
}

func TestAnswersOfTheProxy(t *testing.T) {
	w := newWorld(t)
	w.serve("192.168.20.8:3128", func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		switch r.Host {
		case "denied.example:443":
			_, _ = c.Write([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
		case "auth.example:443":
			_, _ = c.Write([]byte("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
		case "silent.example:443":
			_, _ = c.Read(make([]byte, 1))
		}
	})
	n := network()
	expect(t, w, n,
		"proxy answers 403 for denied.example:443",
		"proxy answers 407 for auth.example:443",
		"proxy answers 200 for denied.example:443 => answered 403 to CONNECT denied.example:443",
		"proxy closes for closed.example:443",
		"proxy closes for denied.example:443 => answered 403",
		"proxy answers 403 for closed.example:443 => closed the connection after CONNECT",
		"proxy is silent for silent.example:443",
		"proxy is silent for denied.example:443 => answered 403",
	)
	// Told that the proxy speaks TLS, a client sends a ClientHello first.
	n.Hosts[0].Env = map[string]string{"HTTPS_PROXY": "https://proxy.corp.example:3128"}
	expect(t, w, n, "proxy closes for denied.example:443")
	n.Hosts[0].Env = nil
	// A listener on all addresses is found by the host's own.
	n.Hosts[3].Services[0].Listen[0] = mustAddrPort("0.0.0.0:3128")
	n.Links = []plan.Link{{Ends: [2]plan.End{{Host: "proxy", Interface: "eth0", Addresses: mustPrefixes("192.168.20.8/24")}, {Host: "corp"}}}}
	expect(t, w, n, "proxy answers 403 for denied.example:443")
	n.Hosts = n.Hosts[:3]
	expect(t, w, n, "proxy closes for a.example:443 => the network has no proxy that listens")
}

func TestCounters(t *testing.T) {
	w := newWorld(t)
	w.counters = map[string]uint64{"client/hit": 3, "client/idle": 0}
	expect(t, w, network(),
		"client rule hit counts packets",
		"client rule idle counts packets => no packet hit rule idle on client",
		"client rule other counts packets => reading the counter of rule other on client: no such rule",
	)
}

func TestAllReportsEverySentenceThatDoesNotHold(t *testing.T) {
	w := newWorld(t)
	w.counters = map[string]uint64{"client/hit": 3, "client/idle": 0}
	require.NoError(t, All(t.Context(), w, network(), []string{"client rule hit counts packets"}))
	err := All(t.Context(), w, network(), []string{"client rule idle counts packets", "client rule hit counts packets", "gibberish"})
	require.ErrorContains(t, err, "no packet hit rule idle")
	require.ErrorContains(t, err, `no proof sentence reads "gibberish"`)
	require.Len(t, strings.Split(err.Error(), "\n"), 2)
}
