package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var anyPort = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}

func serve(t testing.TB, cfg Config) (*Server, netip.AddrPort) {
	t.Helper()
	s, err := Serve(t.Context(), netio.Host{}, anyPort, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, s.Addrs()[0]
}

func query(t testing.TB, network string, server netip.AddrPort, m *mdns.Msg) (*mdns.Msg, error) {
	t.Helper()
	c := &mdns.Client{Net: network, Timeout: 5 * time.Second}
	r, _, err := c.Exchange(m, server.String())
	return r, err
}

func question(name string, kind uint16) *mdns.Msg {
	return new(mdns.Msg).SetQuestion(mdns.Fqdn(name), kind)
}

func TestAnswersOverBothTransports(t *testing.T) {
	_, at := serve(t, Config{Records: public})
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			r, err := query(t, network, at, question("MyRegistry.azurecr.IO", mdns.TypeA))
			require.NoError(t, err)
			require.Equal(t, mdns.RcodeSuccess, r.Rcode)
			require.True(t, r.RecursionAvailable)
			require.True(t, r.RecursionDesired)
			require.False(t, r.Authoritative)
			require.Len(t, r.Answer, 5)
			require.Equal(t, "MyRegistry.azurecr.IO.", r.Question[0].Name)
			require.Equal(t, "MyRegistry.azurecr.IO.", r.Answer[0].Header().Name, "the asker's spelling is kept (0x20)")
			require.Equal(t, uint32(10), r.Answer[4].Header().Ttl)
			require.Equal(t, "20.62.128.38", r.Answer[4].(*mdns.A).A.String())
		})
	}
}

func TestNegativeAnswers(t *testing.T) {
	_, at := serve(t, Config{Records: public, Views: []View{{
		Source: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Zones: []Zone{{Name: "privatelink.azurecr.io"}}}}})

	r, err := query(t, "udp", at, question("myregistry.azurecr.io", mdns.TypeA))
	require.NoError(t, err)
	require.Equal(t, mdns.RcodeNameError, r.Rcode)
	require.Len(t, r.Answer, 1, "the CNAME is told with NXDOMAIN")
	require.Equal(t, "privatelink.azurecr.io.", r.Ns[0].(*mdns.SOA).Hdr.Name)

	r, err = query(t, "udp", at, question("x.blob.core.windows.net", mdns.TypeAAAA))
	require.NoError(t, err)
	require.Equal(t, mdns.RcodeSuccess, r.Rcode)
	require.Empty(t, r.Answer)
	require.IsType(t, &mdns.SOA{}, r.Ns[0])
}

func TestUnusualQuestions(t *testing.T) {
	_, at := serve(t, Config{Records: public})
	tests := map[string]struct {
		ask   func(*mdns.Msg)
		rcode int
	}{
		"two questions are a format error":  {func(m *mdns.Msg) { m.Question = append(m.Question, m.Question[0]) }, mdns.RcodeFormatError},
		"no question is a format error":     {func(m *mdns.Msg) { m.Question = nil }, mdns.RcodeFormatError},
		"another opcode is not implemented": {func(m *mdns.Msg) { m.Opcode = mdns.OpcodeStatus }, mdns.RcodeNotImplemented},
		"another class is refused":          {func(m *mdns.Msg) { m.Question[0].Qclass = mdns.ClassCHAOS }, mdns.RcodeRefused},
		"a zone transfer is refused":        {func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeAXFR }, mdns.RcodeRefused},
		"EDNS version 1 is BADVERS": {func(m *mdns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().SetVersion(1)
		}, mdns.RcodeBadVers},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := question("myregistry.azurecr.io", mdns.TypeA)
			tc.ask(m)
			r, err := query(t, "udp", at, m)
			require.NoError(t, err)
			require.Equal(t, tc.rcode, r.Rcode)
			require.Equal(t, m.Id, r.Id)
		})
	}
}

func TestBehaviours(t *testing.T) {
	s, at := serve(t, Config{Records: public})
	for behaviour, rcode := range map[Behaviour]int{Answer: mdns.RcodeSuccess, ServFail: mdns.RcodeServerFailure, Refused: mdns.RcodeRefused} {
		require.NoError(t, s.Update(Config{Behaviour: behaviour, Records: public}))
		r, err := query(t, "udp", at, question("myregistry.azurecr.io", mdns.TypeA))
		require.NoError(t, err)
		require.Equal(t, rcode, r.Rcode, "behaviour %q", behaviour)
	}
	require.Error(t, s.Update(Config{Behaviour: "nonsense"}), "and the old configuration stays")
	require.NoError(t, s.Update(Config{Behaviour: Silence}))
	require.Nil(t, s.reply(t.Context(), client, question("a.example", mdns.TypeA), false))
	require.Equal(t, mdns.MsgIgnore, s.accept(mdns.Header{}), "not even a format error is answered")
}

// A network without a view gets silence from 168.63.129.16, not a refusal. The
// answer to a second query, let in by another view, proves that the first was
// read before.
func TestOnlyViewsIsSilentForOthers(t *testing.T) {
	s, _ := serve(t, Config{Records: public, OnlyViews: true, Views: linked()})
	q := question("myregistry.azurecr.io", mdns.TypeA)
	require.Nil(t, s.reply(t.Context(), netip.MustParseAddr("192.0.2.1"), q, false))
	require.NotNil(t, s.reply(t.Context(), client, q, false))
}

func TestLongAnswersAreTruncatedAndCompleteByTCP(t *testing.T) {
	var many []Record
	for i := range 100 {
		many = append(many, Record{Name: "many.example", TTL: 1, A: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})})
	}
	_, at := serve(t, Config{Records: many})
	r, err := query(t, "udp", at, question("many.example", mdns.TypeA))
	require.NoError(t, err)
	require.True(t, r.Truncated)
	r.Compress = true // as it came
	packed, err := r.Pack()
	require.NoError(t, err)
	require.LessOrEqual(t, len(packed), 512)
	r, err = query(t, "tcp", at, question("many.example", mdns.TypeA))
	require.NoError(t, err)
	require.False(t, r.Truncated)
	require.Len(t, r.Answer, 100)

	t.Run("a forwarder fetches the rest by TCP", func(t *testing.T) {
		_, fwd := serve(t, Config{Forward: []Forward{{Suffix: ".", To: at}}})
		got, err := Lookup(t.Context(), netio.Host{}, fwd, "many.example")
		require.NoError(t, err)
		require.Len(t, got.Addrs(), 100)
	})
}

func TestForwarding(t *testing.T) {
	_, azure := serve(t, Config{Records: public, Views: []View{{
		Source: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Zones:  []Zone{{Name: "privatelink.azurecr.io", Records: []Record{{Name: "myregistry.privatelink.azurecr.io", TTL: 10, A: netip.MustParseAddr("10.70.4.5")}}}}}}})
	_, internet := serve(t, Config{Records: public})
	_, refusing := serve(t, Config{Behaviour: Refused})
	// Nothing listens on a port that was just given back.
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := gone.LocalAddr().(*net.UDPAddr).AddrPort()
	require.NoError(t, gone.Close())

	tests := map[string]struct {
		cfg   Config
		name  string
		rcode RCode
		addr  string
	}{
		"the longest suffix decides":                      {Config{Forward: []Forward{{".", internet}, {"azurecr.io", azure}}}, "myregistry.azurecr.io", NoError, "10.70.4.5"},
		"others go to the server of all":                  {Config{Forward: []Forward{{".", internet}, {"azurecr.io", azure}}}, "x.blob.core.windows.net", NoError, "20.60.1.1"},
		"forwarders come before records":                  {Config{Records: public, Forward: []Forward{{"azurecr.io", azure}}}, "myregistry.azurecr.io", NoError, "10.70.4.5"},
		"a suffix that does not match leaves the records": {Config{Records: public, Forward: []Forward{{"example.com", azure}}}, "myregistry.azurecr.io", NoError, "20.62.128.38"},
		"an alias in the records leads to the forwarder": {Config{Records: []Record{{Name: "cr.corp.example", TTL: 5, CNAME: "myregistry.azurecr.io"}},
			Forward: []Forward{{"azurecr.io", azure}}}, "cr.corp.example", NoError, "10.70.4.5"},
		"NXDOMAIN is passed on":                            {Config{Forward: []Forward{{".", azure}}}, "other.azurecr.io", NXDomain, ""},
		"REFUSED is passed on":                             {Config{Forward: []Forward{{".", refusing}}}, "other.azurecr.io", RCodeRefused, ""},
		"an unreachable server is SERVFAIL":                {Config{Forward: []Forward{{".", closed}}}, "myregistry.azurecr.io", RCodeServFail, ""},
		"the next server is asked when one is unreachable": {Config{Forward: []Forward{{".", closed}, {".", azure}}}, "myregistry.azurecr.io", NoError, "10.70.4.5"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, at := serve(t, tc.cfg)
			got, err := Lookup(t.Context(), netio.Host{}, at, tc.name)
			require.NoError(t, err)
			require.Equal(t, tc.rcode, got.RCode)
			if tc.addr != "" {
				require.Equal(t, tc.addr, got.Addrs()[0].String())
			}
		})
	}
}

// Two servers that forward to each other must neither hang nor flood.
func TestForwardingLoopEnds(t *testing.T) {
	t.Parallel() // takes ForwardTimeout
	a, atA := serve(t, Config{})
	_, atB := serve(t, Config{Forward: []Forward{{".", atA}}})
	require.NoError(t, a.Update(Config{Forward: []Forward{{".", atB}}}))
	m := question("myregistry.azurecr.io", mdns.TypeA)
	r, err := query(t, "udp", atA, m)
	require.NoError(t, err)
	require.Equal(t, mdns.RcodeServerFailure, r.Rcode)
}

func TestCloseEndsWhileForwarderIsSilent(t *testing.T) {
	t.Parallel() // the asker waits for ForwardTimeout
	_, silent := serve(t, Config{Behaviour: Silence})
	s, err := Serve(t.Context(), netio.Host{}, anyPort, Config{Forward: []Forward{{".", silent}}})
	require.NoError(t, err)
	asked := make(chan error, 1)
	go func() {
		_, err := Lookup(context.Background(), netio.Host{}, s.Addrs()[0], "a.example")
		asked <- err
	}()
	require.NoError(t, s.Close())
	<-asked
}

func TestDigReadsTheAnswer(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		t.Skip("dig is not installed (package dnsutils)")
	}
	_, at := serve(t, Config{Records: public})
	out, err := exec.Command(dig, "-p", fmt.Sprint(at.Port()), "@"+at.Addr().String(), "myregistry.azurecr.io", "A").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "status: NOERROR")
	require.Contains(t, string(out), "flags: qr rd ra;")
	require.NotContains(t, strings.ToLower(string(out)), "warning")
	require.NotContains(t, string(out), "malformed")
}

// FuzzPacket gives the query path any packet.
func FuzzPacket(f *testing.F) {
	for _, m := range []*mdns.Msg{question("myregistry.azurecr.io", mdns.TypeA), question("loop-a.example", mdns.TypeANY), question(".", mdns.TypeSOA)} {
		m.SetEdns0(4096, true)
		b, err := m.Pack()
		require.NoError(f, err)
		f.Add(b, true)
		f.Add(b[:len(b)-3], false)
	}
	s := &Server{net: netio.Host{}}
	require.NoError(f, s.Update(Config{Records: public, Views: linked(Zone{Name: "privatelink.azurecr.io"})}))
	f.Fuzz(func(t *testing.T, packet []byte, stream bool) {
		m := new(mdns.Msg)
		if m.Unpack(packet) != nil {
			return
		}
		r := s.reply(t.Context(), client, m, stream)
		if r == nil {
			t.Fatal("no answer")
		}
		if r.Id != m.Id || !r.Response {
			t.Fatalf("not an answer to the query: %v", r)
		}
		b, err := r.Pack()
		if err == nil && !stream && len(m.Question) == 1 && len(b) > maxUDP {
			t.Fatalf("a datagram of %d bytes", len(b))
		}
	})
}
