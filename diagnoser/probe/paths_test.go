package probe

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnoser/host"
)

func TestASilentLoginServerDoesNotHideTheDataEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	delete(w.handlers, loginAddr)
	r := w.run()
	p := onePath(t, r, RoleLogin, Direct)
	require.Equal(t, Silence, p.TCP.Outcome)
	require.Nil(t, p.TLS)
	require.Nil(t, r.API)
	data := onePath(t, r, RoleData, Direct)
	require.True(t, data.Guessed)
	require.Equal(t, 403, data.HTTP.Status)
	require.Contains(t, r.Omitted, Omission{"challenge", "the login server gave no answer by the way that the shell uses"})
}

func TestConnectOutcomesAreTold(t *testing.T) {
	t.Parallel()
	for _, outcome := range []host.Outcome{host.Reset, host.HostUnreach, host.NetUnreach, host.NoRoute} {
		w := newWorld(t)
		w.fate[addr443(loginAddr)] = outcome
		require.Equal(t, TCPOutcome(outcome), onePath(t, w.run(), RoleLogin, Direct).TCP.Outcome)
	}
}

func TestADeadResolverDoesNotHideWhatLiesBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.resolvers = []netip.Addr{netip.MustParseAddr("8.8.8.8")}
	w.silent = true
	r := w.run() // the configured one is silent
	var own, behind []Path
	for _, p := range r.Paths {
		if p.Role != RoleLogin {
			continue
		}
		if p.Shell {
			own = append(own, p)
		} else {
			behind = append(behind, p)
		}
	}
	require.Len(t, own, 1)
	require.Equal(t, NoAddress, own[0].TCP.Outcome)
	require.Len(t, behind, 1)
	require.Equal(t, PublicDNS, behind[0].Resolved)
	require.Equal(t, 401, behind[0].HTTP.Status)
}

func TestTheSecondResolverServesWhenTheFirstFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := netip.MustParseAddr("10.1.0.52")
	w.files["/etc/resolv.conf"] = "nameserver 10.1.0.52\nnameserver 10.1.0.53\n"
	w.dnsServe(first, dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		rw.WriteMsg(m.SetRcode(q, dns.RcodeServerFailure))
	}))
	r := w.run()
	require.True(t, r.API.Blob.OK)
	codes := map[netip.Addr]RCode{}
	for _, l := range r.Lookups {
		if l.Name == login && l.Kind == Configured {
			codes[l.Resolver] = l.RCode
		}
	}
	require.Equal(t, map[netip.Addr]RCode{first: ServFail, ownResolver: NoError}, codes)
}

func TestTheHostsFileGoesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.files["/etc/hosts"] = "10.9.9.9 " + login + "\n"
	r := w.run()
	require.Equal(t, "10.9.9.9", onePath(t, r, RoleLogin, Direct).Addr.String())
	require.Equal(t, HostsFile, r.Lookups[len(r.Lookups)-1-lastOf(r, login)].Kind)
}

// lastOf counts the lookups after the first one of a name.
func lastOf(r *Report, name string) int {
	for i, l := range r.Lookups {
		if l.Name == name {
			return len(r.Lookups) - 1 - i
		}
	}
	return -1
}

func TestHandshakeOutcomes(t *testing.T) {
	t.Parallel()
	corp := func(t *testing.T) *authority { return newAuthority(t, "Corp Inspection") }
	past := func(t *testing.T, w *world) tls.Certificate {
		return w.ca.leaf(t, time.Now().AddDate(0, -2, 0), time.Now().AddDate(0, -1, 0), "*.azurecr.io")
	}
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }
	for _, test := range []struct {
		name string
		cert func(*testing.T, *world) tls.Certificate
		raw  func(net.Conn)
		want TLSOutcome
	}{
		{"certificate of an unknown authority", func(t *testing.T, w *world) tls.Certificate { return corp(t).now(t, "*.azurecr.io") }, nil, UnknownCA},
		{"unknown authority and wrong name and expired", func(t *testing.T, w *world) tls.Certificate {
			return corp(t).leaf(t, time.Now().AddDate(0, -2, 0), time.Now().AddDate(0, -1, 0), "x.example")
		}, nil, UnknownCA},
		{"another name", func(t *testing.T, w *world) tls.Certificate { return w.ca.now(t, "other.example.com") }, nil, WrongName},
		{"expired", past, nil, OutOfTime},
		{"reset after the ClientHello", nil, func(c net.Conn) { c.Read(make([]byte, 1)); reset(c) }, TLSReset},
		{"closed after the ClientHello", nil, func(c net.Conn) { io.CopyN(io.Discard, c, 5); drain(c) }, TLSClosed},
		{"cleartext", nil, func(c net.Conn) { c.Read(make([]byte, 4096)); fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, NotTLS},
		{"alert", nil, func(c net.Conn) { c.Read(make([]byte, 4096)); c.Write([]byte{21, 3, 3, 0, 2, 2, 40}) }, TLSAlert},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.cert != nil {
				w.certs[loginAddr] = test.cert(t, w)
			} else {
				delete(w.handlers, loginAddr)
				w.raw(addr443(loginAddr), test.raw)
			}
			r := w.run()
			p := onePath(t, r, RoleLogin, Direct)
			require.Equal(t, test.want, p.TLS.Outcome, p.TLS.Err)
			require.NotEmpty(t, p.TLS.Err)
			require.Nil(t, p.HTTP, "no request goes over an unverified connection")
			require.Nil(t, r.API)
			if test.cert != nil {
				require.NotEmpty(t, p.TLS.Issuer, "the leaf is read also when it is refused")
				require.NotEmpty(t, p.TLS.Names)
				require.Nil(t, p.OtherName)
			} else {
				require.NotNil(t, p.OtherName)
				require.NotNil(t, p.NoName)
			}
		})
	}
}

// drain reads what has arrived, so that Close sends FIN and not RST.
func drain(c net.Conn) {
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	io.Copy(io.Discard, c)
}

func TestAnExtraAuthorityIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	corp := newAuthority(t, "Corp Inspection")
	w.certs[loginAddr] = corp.now(t, "*.azurecr.io")
	file := "/etc/docker/certs.d/" + login + "/ca.crt"
	w.files[file] = string(pemOf(corp))
	p := onePath(t, w.run(), RoleLogin, Direct)
	require.Equal(t, UnknownCA, p.TLS.Outcome)
	require.Equal(t, file, p.TLS.TrustedBy)
	require.Equal(t, "Corp Inspection Org", p.TLS.IssuerOrg)
}

func TestAWrongClockIsMeasured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = time.Now().AddDate(3, 0, 0)
	// The authority is valid for longer than the leaf.
	r := w.run()
	require.Equal(t, OutOfTime, onePath(t, r, RoleLogin, Direct).TLS.Outcome)
	require.True(t, r.Vantage.HasSkew)
	require.InDelta(t, float64(3*365*24), r.Vantage.ClockSkew.Hours(), 48)
}

// filter passes ClientHellos on to a real server unless they are blocked.
func filter(w *world, at netip.Addr, blocked func(hello []byte) bool, refuse func(net.Conn)) {
	w.raw(addr443(at), func(c net.Conn) {
		hello := make([]byte, 0, 4096)
		buf := make([]byte, 4096)
		for len(hello) < 5 || len(hello) < 5+int(hello[3])<<8+int(hello[4]) {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			hello = append(hello, buf[:n]...)
		}
		if blocked(hello) {
			refuse(c)
			return
		}
		up, err := net.Dial("tcp", w.tcp[addr443(dataAddr)])
		if err != nil {
			return
		}
		defer up.Close()
		up.Write(hello)
		done := make(chan struct{})
		go func() { defer close(done); io.Copy(up, c); up.(*net.TCPConn).CloseWrite() }()
		io.Copy(c, up)
		c.Close()
		<-done
	})
}

func TestANameFilterIsProvenByAnotherName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		refuse func(net.Conn)
		want   TLSOutcome
	}{
		{"reset", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }, TLSReset},
		{"close", func(c net.Conn) {}, TLSClosed},
		{"silence", func(c net.Conn) { io.Copy(io.Discard, c) }, TLSSilence},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			delete(w.handlers, loginAddr)
			filter(w, loginAddr, func(hello []byte) bool { return bytes.Contains(hello, []byte(login)) }, test.refuse)
			r := w.run()
			p := onePath(t, r, RoleLogin, Direct)
			require.Equal(t, test.want, p.TLS.Outcome, p.TLS.Err)
			require.Equal(t, innocent, p.OtherName.ServerName)
			require.Equal(t, WrongName, p.OtherName.Outcome, "the innocent name passes")
			require.Equal(t, Verified, p.NoName.Outcome)
			if test.want == TLSSilence {
				require.NotNil(t, p.SmallSegments)
				require.Equal(t, TLSSilence, p.SmallSegments.Outcome)
			}
		})
	}
}

// TestAListOfAllowedNamesIsTold is an Azure Firewall application rule: what it
// does not list is closed, the innocent name too.
func TestAListOfAllowedNamesIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	delete(w.handlers, loginAddr)
	filter(w, loginAddr, func(hello []byte) bool { return !bytes.Contains(hello, []byte("login.microsoftonline.com")) }, func(net.Conn) {})
	p := onePath(t, w.run(), RoleLogin, Direct)
	require.Equal(t, TLSClosed, p.TLS.Outcome)
	require.Equal(t, "login.microsoftonline.com", p.OtherName.ServerName)
	require.Equal(t, WrongName, p.OtherName.Outcome)
	require.Equal(t, TLSClosed, p.NoName.Outcome)
}

func TestAnIPv6BlackholeShowsBesideAWorkingIPv4(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.v6 = true
	w.zone["r0318eus-az.eastus.cloudapp.azure.com"] = []string{"A " + loginAddr.String(), "AAAA 2603:1030::38"}
	r := w.run()
	require.True(t, r.API.Blob.OK)
	var outcomes []TCPOutcome
	for _, p := range r.Paths {
		if p.Role == RoleLogin {
			outcomes = append(outcomes, p.TCP.Outcome)
		}
	}
	require.Equal(t, []TCPOutcome{Connected, Silence}, outcomes)

	w = newWorld(t)
	w.zone["r0318eus-az.eastus.cloudapp.azure.com"] = []string{"A " + loginAddr.String(), "AAAA 2603:1030::38"}
	r = w.run()
	require.True(t, onePath(t, r, RoleLogin, Direct).Addr.Is4(), "without an IPv6 route clients do not try")
}

func TestControlFailsOnItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.zone["mcr.microsoft.com"] = []string{"A 192.0.2.99"}
	r := w.run()
	require.True(t, r.API.Blob.OK, "nothing else is stopped")
	for _, p := range r.Control {
		if p.Role == RoleMCR {
			require.Equal(t, Silence, p.TCP.Outcome)
		} else {
			require.Equal(t, 200, p.HTTP.Status, p.Host)
		}
	}
}

func TestAPeerThatAcceptsAndStaysSilentIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.v2 = func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	r := w.run()
	p := onePath(t, r, RoleLogin, Direct)
	require.Equal(t, Verified, p.TLS.Outcome)
	require.Equal(t, "silence", p.HTTP.Outcome)
	require.Zero(t, p.HTTP.Status)
}

func TestTheWholeRunIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	delete(w.handlers, loginAddr)
	w.after = time.Hour
	w.silent = true
	w.opt.Timeout = 300 * time.Millisecond
	r := w.run()
	require.Less(t, r.Took, dnsTimeout)
	require.NotEmpty(t, r.Paths)
}
