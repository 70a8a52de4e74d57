package probe

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestLookupTellsAnswersApart(t *testing.T) {
	w := newWorld(t)
	w.zone["nodata.example"] = []string{"TXT x"}
	w.zone["both.example"] = []string{"A 192.0.2.1", "AAAA 2001:db8::1"}
	w.zone["six.example"] = []string{"AAAA 2001:db8::1"}
	w.zone["circle.example"] = []string{"CNAME circle.example."}
	w.rcode["servfail.example"] = dns.RcodeServerFailure
	w.rcode["refused.example"] = dns.RcodeRefused
	w.rcode["other.example"] = dns.RcodeNotImplemented
	w.zone["broken.example"] = []string{"CNAME absent.privatelink.azurecr.io."}
	w.up()
	for name, want := range map[string]RCode{
		"both.example": NoError, "six.example": NoError, "nodata.example": NoData, "absent.example": NXDomain,
		"servfail.example": ServFail, "refused.example": Refused, "other.example": OtherCode, "circle.example": NoData,
		"broken.example": NXDomain, login: NoError,
	} {
		l := lookup(t.Context(), w, name, Configured, ownResolver)
		require.Equal(t, want, l.RCode, "%s: %+v", name, l)
		require.Equal(t, want == NoError, len(l.Addrs) > 0, name)
	}
	require.Len(t, lookup(t.Context(), w, "both.example", Configured, ownResolver).Addrs, 2)
	l := lookup(t.Context(), w, "broken.example", Configured, ownResolver)
	require.Equal(t, []CNAME{{"broken.example", "absent.privatelink.azurecr.io", 10}}, l.Chain, "the alias of an NXDOMAIN is kept")
	l = lookup(t.Context(), w, login, Configured, ownResolver)
	require.Equal(t, "eastus", regionOf(l.Chain))
	require.EqualValues(t, 10, l.TTL)
}

func TestLookupOfAResolverThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t).up()
	w.silent = true
	quiet, closed, noise := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	w.udp[netip.AddrPortFrom(closed, 53)] = pc.LocalAddr().String()
	pc.Close()
	w.dnsServe(noise, dns.HandlerFunc(func(rw dns.ResponseWriter, _ *dns.Msg) { rw.Write([]byte("HTTP/1.1 400 Bad Request")) }))

	var all sync.WaitGroup
	for resolver, want := range map[netip.Addr]RCode{quiet: Timeout, closed: Unreachable, noise: Garbled} {
		all.Go(func() {
			l := lookup(t.Context(), w, login, Configured, resolver)
			if l.RCode != want || l.Err == "" {
				t.Errorf("%s: %+v", want, l)
			}
		})
	}
	all.Wait()
}

func TestALostQueryIsSentAgain(t *testing.T) {
	w := newWorld(t).up()
	at := netip.MustParseAddr("10.9.0.4")
	var mu sync.Mutex
	asked := map[uint16]int{}
	w.dnsServe(at, dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		asked[q.Question[0].Qtype]++
		n := asked[q.Question[0].Qtype]
		mu.Unlock()
		if n > 1 {
			w.answer(rw, q)
		}
	}))
	l := lookup(t.Context(), w, login, Configured, at)
	require.Equal(t, NoError, l.RCode, l.Err)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[uint16]int{dns.TypeA: 2, dns.TypeAAAA: 2}, asked)
}

func TestATruncatedAnswerIsAskedForByTCP(t *testing.T) {
	w := newWorld(t).up()
	at := netip.MustParseAddr("10.9.0.5")
	w.dnsServe(at, dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Truncated = true
		rw.WriteMsg(m)
	}))
	w.raw(netip.AddrPortFrom(at, 53), func(c net.Conn) {
		conn := &dns.Conn{Conn: c}
		q, err := conn.ReadMsg()
		if err != nil {
			return
		}
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR(q.Question[0].Name + " 5 IN A 192.0.2.7")
			m.Answer = append(m.Answer, rr)
		}
		conn.WriteMsg(m)
	})
	l := lookup(t.Context(), w, login, Configured, at)
	require.Equal(t, NoError, l.RCode, l.Err)
	require.Equal(t, "192.0.2.7", l.Addrs[0].String())
}

func TestAForgedAnswerIsPassedOver(t *testing.T) {
	w := newWorld(t).up()
	at := netip.MustParseAddr("10.9.0.6")
	w.dnsServe(at, dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		forged := new(dns.Msg)
		forged.SetReply(q)
		forged.Id++
		forged.Rcode = dns.RcodeNameError
		rw.WriteMsg(forged)
		w.answer(rw, q)
	}))
	require.Equal(t, NoError, lookup(t.Context(), w, login, Configured, at).RCode)
}
