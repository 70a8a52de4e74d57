package probe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

var proxyPort = netip.AddrPortFrom(proxyAddr, 3128)

// behindProxy makes a world whose servers are out of direct reach, and a proxy.
func behindProxy(t *testing.T, answer func(net.Conn, *http.Request) bool) *world {
	w := newWorld(t)
	w.env = []string{"HTTPS_PROXY=http://user:hunter2@proxy.corp.example:3128"}
	w.zone["proxy.corp.example"] = []string{"A " + proxyAddr.String()}
	inside := map[string]netip.Addr{login + ":443": loginAddr, dataName + ":443": dataAddr}
	for _, c := range controlHosts("") {
		inside[c.host+":443"] = controlAddr
		delete(w.zone, c.host)
	}
	delete(w.zone, login) // public names do not resolve inside
	delete(w.zone, dataName)
	w.raw(proxyPort, func(c net.Conn) {
		br := bufio.NewReader(c)
		req, err := http.ReadRequest(br)
		if err != nil || answer != nil && answer(c, req) {
			return
		}
		if req.Method != "CONNECT" {
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		up, err := net.Dial("tcp", w.tcp[addr443(inside[req.Host])])
		if err != nil {
			fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		defer up.Close()
		fmt.Fprint(c, "HTTP/1.1 200 Connection established\r\nVia: 1.1 corp\r\n\r\n")
		done := make(chan struct{})
		go func() { defer close(done); io.Copy(up, br); up.Close() }()
		io.Copy(c, up)
		c.Close()
		<-done
	})
	return w
}

func TestAPullThroughAProxy(t *testing.T) {
	t.Parallel()
	w := behindProxy(t, nil)
	r := w.run()
	require.NotNil(t, r.API)
	require.True(t, r.API.Blob.OK, r.API.Blob.Err)
	p := onePath(t, r, RoleLogin, Proxied)
	require.True(t, p.Shell)
	require.Equal(t, proxyAddr, p.Addr)
	require.Equal(t, "http://proxy.corp.example:3128", p.Proxy.URL)
	require.Equal(t, 200, p.Proxy.Status)
	require.Equal(t, "1.1 corp", p.Proxy.Via)
	require.Equal(t, NoError, p.Proxy.Resolve.RCode)
	require.Equal(t, Verified, p.TLS.Outcome)
	require.Equal(t, "environment HTTPS_PROXY", r.Vantage.Shell.From)
	require.NotContains(t, fmt.Sprintf("%+v", r), "hunter2")
	for _, c := range r.Control {
		require.Equal(t, Proxied, c.Via)
		require.Equal(t, 200, c.HTTP.Status)
	}
}

func TestProxyRefusals(t *testing.T) {
	t.Parallel()
	write := func(s string) func(net.Conn, *http.Request) bool {
		return func(c net.Conn, _ *http.Request) bool { io.WriteString(c, s); return true }
	}
	for _, test := range []struct {
		name   string
		answer func(net.Conn, *http.Request) bool
		check  func(*testing.T, *ProxyHop)
	}{
		{"403", write("HTTP/1.1 403 Forbidden\r\nServer: squid\r\nContent-Length: 6\r\n\r\nno way"), func(t *testing.T, h *ProxyHop) {
			require.Equal(t, 403, h.Status)
			require.Equal(t, "answered", h.Outcome)
			require.Equal(t, "HTTP/1.1 403 Forbidden", h.StatusLine)
			require.Equal(t, "no way", h.Body)
			require.Equal(t, "squid", h.Via)
		}},
		{"407", write("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n\r\n"), func(t *testing.T, h *ProxyHop) {
			require.Equal(t, 407, h.Status)
			require.Equal(t, "Negotiate", h.Auth)
		}},
		{"closed", write(""), func(t *testing.T, h *ProxyHop) {
			require.Equal(t, "closed", h.Outcome)
			require.Zero(t, h.Status)
		}},
		{"reset", func(c net.Conn, _ *http.Request) bool { c.(*net.TCPConn).SetLinger(0); return true }, func(t *testing.T, h *ProxyHop) {
			require.Equal(t, "reset", h.Outcome)
		}},
		{"garbled", write("SSH-2.0-OpenSSH_9.9\r\n"), func(t *testing.T, h *ProxyHop) {
			require.Equal(t, "garbled", h.Outcome)
		}},
		{"silence", func(c net.Conn, _ *http.Request) bool { io.Copy(io.Discard, c); return true }, func(t *testing.T, h *ProxyHop) {
			require.Equal(t, "silence", h.Outcome)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := behindProxy(t, test.answer)
			r := w.run()
			p := onePath(t, r, RoleLogin, Proxied)
			require.Equal(t, Connected, p.TCP.Outcome)
			require.Nil(t, p.TLS)
			test.check(t, p.Proxy)
			require.Nil(t, r.API)
			require.NotContains(t, fmt.Sprintf("%+v", p.Proxy), "hunter2")
		})
	}
}

func TestAnHTTPSProxyURLToAPlainProxy(t *testing.T) {
	t.Parallel()
	// A plain proxy either closes on a ClientHello or answers 400 to it.
	for name, answer := range map[string]string{"not-tls": "HTTP/1.1 400 Bad Request\r\n\r\n", "closed": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := behindProxy(t, nil)
			w.env = []string{"https_proxy=https://proxy.corp.example:3128"}
			real := w.tcp[proxyPort]
			w.raw(proxyPort, func(c net.Conn) {
				first := make([]byte, 5)
				if _, err := io.ReadFull(c, first); err != nil {
					return
				}
				if first[0] == 22 {
					io.WriteString(c, answer)
					drain(c)
					return
				}
				up, err := net.Dial("tcp", real)
				if err != nil {
					return
				}
				defer up.Close()
				up.Write(first)
				done := make(chan struct{})
				go func() { defer close(done); io.Copy(up, c); up.Close() }()
				io.Copy(c, up)
				c.Close()
				<-done
			})
			r := w.run()
			p := onePath(t, r, RoleLogin, Proxied)
			require.Equal(t, "https", p.Proxy.Scheme)
			require.Equal(t, name, p.Proxy.Outcome, p.Proxy.Err)
			require.True(t, p.Proxy.PlainWorks)
			require.Nil(t, p.TLS)
		})
	}
}

func TestAProxyOutOfReach(t *testing.T) {
	t.Parallel()
	w := behindProxy(t, nil)
	delete(w.zone, "proxy.corp.example")
	p := onePath(t, w.run(), RoleLogin, Proxied)
	require.Equal(t, NoAddress, p.TCP.Outcome)
	require.Equal(t, NXDomain, p.Proxy.Resolve.RCode)

	w = behindProxy(t, nil)
	delete(w.tcp, proxyPort)
	p = onePath(t, w.run(), RoleLogin, Proxied)
	require.Equal(t, Silence, p.TCP.Outcome)
	require.Equal(t, proxyAddr, p.Addr)

	w = behindProxy(t, nil)
	w.env = []string{`HTTPS_PROXY=http:\\proxy.corp.example:3128`}
	r := w.run()
	require.Contains(t, r.Vantage.Shell.Malformed, "backslashes")
	p = onePath(t, r, RoleLogin, Proxied)
	require.Equal(t, NoAddress, p.TCP.Outcome)
	require.Contains(t, p.Proxy.Err, "malformed")
}

func TestTheContainerEnginesWayIsItsOwn(t *testing.T) {
	t.Parallel()
	w := behindProxy(t, nil)
	w.files["/etc/docker/daemon.json"] = `{"dns":["10.1.0.53"]}` // an engine, no proxy
	r := w.run()
	require.True(t, r.API.Blob.OK)
	direct := onePath(t, r, RoleLogin, Direct)
	require.True(t, direct.Daemon)
	require.False(t, direct.Shell)
	require.Equal(t, NoAddress, direct.TCP.Outcome)
	require.False(t, onePath(t, r, RoleLogin, Proxied).Daemon)

	w = behindProxy(t, nil)
	w.files["/etc/systemd/system/docker.service.d/http-proxy.conf"] = "[Service]\nEnvironment=\"HTTPS_PROXY=http://user:hunter2@proxy.corp.example:3128\"\n"
	r = w.run()
	require.True(t, onePath(t, r, RoleLogin, Proxied).Daemon)
	require.Equal(t, "docker", r.Vantage.Daemon.Engine)
	require.Equal(t, "/etc/systemd/system/docker.service.d/http-proxy.conf HTTPS_PROXY", r.Vantage.Daemon.Proxy.From)

	w = behindProxy(t, nil)
	w.files["/etc/docker/daemon.json"] = `{"proxies":{"https-proxy":"http://other.corp.example:8080"}}`
	r = w.run()
	engine := onePath(t, r, RoleLogin, ByDaemon)
	require.True(t, engine.Daemon)
	require.Equal(t, "http://other.corp.example:8080", engine.Proxy.URL)
	require.Equal(t, NoAddress, engine.TCP.Outcome)
}

func TestAnExemptionOfTheLoginServerAlone(t *testing.T) {
	t.Parallel()
	w := behindProxy(t, func(c net.Conn, r *http.Request) bool {
		if r.Host == dataName+":443" {
			io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n")
			return true
		}
		return false
	})
	w.env = append(w.env, "NO_PROXY="+login)
	w.zone[login] = []string{"A " + loginAddr.String()}
	w.zone[dataName] = []string{"A " + dataAddr.String()}
	r := w.run()
	require.True(t, onePath(t, r, RoleLogin, Direct).Shell)
	require.False(t, r.API.Blob.OK)
	data := onePath(t, r, RoleData, Proxied)
	require.True(t, data.Shell)
	require.Equal(t, 403, data.Proxy.Status)
	direct := onePath(t, r, RoleData, Direct)
	require.False(t, direct.Shell)
	require.Equal(t, 403, direct.HTTP.Status, "the data endpoint lives: 403 without a signature")
}

func TestEngineSettings(t *testing.T) {
	t.Parallel()
	base := func(files map[string]string) *testHost {
		return &testHost{files: files, links: map[string]string{"/proc/self/ns/net": "net:[1]", "/proc/7/ns/net": "net:[1]", "/proc/8/ns/net": "net:[2]"}}
	}
	find := func(files map[string]string) (*DaemonSettings, proxySettings) {
		return findDaemon(t.Context(), base(files))
	}

	d, _ := find(nil)
	require.Nil(t, d)

	// A process of another network namespace is not this place's engine.
	d, _ = find(map[string]string{"/proc/8/comm": "dockerd\n", "/proc/8/environ": "HTTPS_PROXY=http://x:1\x00"})
	require.Nil(t, d)

	d, s := find(map[string]string{
		"/lib/systemd/system/docker.service":                 "[Service]\nEnvironmentFile=-/etc/default/docker\n",
		"/etc/systemd/system/docker.service.d/10-a.conf":     "[Service]\nEnvironment=HTTPS_PROXY=http://first:1\n",
		"/etc/systemd/system/docker.service.d/20-b.conf":     "[Service]\nEnvironment=HTTPS_PROXY=http://second:1 NO_PROXY=x.example\n",
		"/usr/lib/systemd/system/docker.service.d/20-b.conf": "[Service]\nEnvironment=HTTPS_PROXY=http://shadowed:1\n",
	})
	require.NotNil(t, d)
	require.Equal(t, "http://second:1", s.raw)
	require.Equal(t, "x.example", s.shown.NoProxy)
	require.Contains(t, s.shown.From, "20-b.conf")

	d, s = find(map[string]string{
		"/lib/systemd/system/docker.service": "[Service]\nEnvironmentFile=-/etc/default/docker\n",
		"/etc/default/docker":                "export https_proxy=\"http://default:1\"\n",
	})
	require.NotNil(t, d)
	require.Equal(t, "http://default:1", s.raw)

	// The running process has what it was started with.
	d, s = find(map[string]string{
		"/proc/7/comm": "dockerd\n", "/proc/7/environ": "PATH=/bin\x00HTTPS_PROXY=http://old:1\x00",
		"/etc/systemd/system/docker.service.d/p.conf": "[Service]\nEnvironment=HTTPS_PROXY=http://new:1\n",
	})
	require.Equal(t, "http://old:1", s.raw)
	require.Contains(t, d.NotRestarted, "http://new:1")
	require.Contains(t, d.Read, "/proc/7/environ")

	d, s = find(map[string]string{"/etc/systemd/system/containerd.service.d/p.conf": "[Service]\nEnvironment=HTTPS_PROXY=http://c:1\n"})
	require.Equal(t, "containerd", d.Engine)
	require.Equal(t, "http://c:1", s.raw)

	for text, want := range map[string]int{"Docker version 20.10.24+dfsg1, build 297e128": 20, "Docker version 27.1.1, build x": 27, "nonsense": 0} {
		got, _ := majorVersion(text)
		require.Equal(t, want, got)
	}
}
