package probe

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// tunnel reaches p.Host through a proxy, hop by hop: the proxy's name, its
// port, TLS to it if its URL says so, and CONNECT (RFC 9110 section 9.3.6).
func (r *run) tunnel(ctx context.Context, p *Path, s proxySettings, o host.ConnectOptions) net.Conn {
	hop := &ProxyHop{URL: s.shown.HTTPSProxy}
	p.Proxy = hop
	began := time.Now()
	defer func() { hop.Took = time.Since(began) }()

	u, err := parseProxy(s.raw)
	if err != nil {
		hop.Err = "the proxy setting is malformed: " + err.Error()
		p.TCP = &TCP{Outcome: NoAddress, Err: hop.Err}
		return nil
	}
	hop.Scheme = u.Scheme
	to, ok := r.proxyAddress(ctx, p, u)
	if !ok {
		return nil
	}
	p.Addr = to.Addr()
	if u.Scheme != "http" && u.Scheme != "https" {
		p.TCP = &TCP{Outcome: TCPOther, Err: "not tried"}
		hop.Err = "proxies of the scheme " + u.Scheme + " are not probed"
		return nil
	}
	raw, t := r.connect(ctx, to, o)
	p.TCP = t
	if raw == nil {
		return nil
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	if u.Scheme == "https" {
		conn, secured := r.handshake(ctx, raw, u.Hostname(), false)
		if conn == nil {
			hop.Outcome, hop.Err = tlsHopOutcome(secured.Outcome), secured.Err
			if suspicious(secured.Outcome) {
				hop.PlainWorks = r.plainWorks(whole, to, p, u)
			}
			return nil
		}
		raw = conn
	}
	return r.connectThrough(ctx, raw, p, u)
}

func (r *run) proxyAddress(ctx context.Context, p *Path, u *url.URL) (netip.AddrPort, bool) {
	port := portOf(u)
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port), true
	}
	name := plain(u.Hostname())
	found := r.own(ctx, name, false)
	p.Proxy.Resolve, p.Resolved = &found, found.Kind
	if len(found.Addrs) == 0 {
		p.TCP = noAddress(found)
		p.Proxy.Err = p.TCP.Err
		return netip.AddrPort{}, false
	}
	addrs := r.try(ctx, found.Addrs)
	if len(addrs) == 0 {
		addrs = found.Addrs
	}
	return netip.AddrPortFrom(addrs[0], port), true
}

func portOf(u *url.URL) uint16 {
	if u.Port() == "" {
		if u.Scheme == "https" {
			return 443
		}
		if u.Scheme == "http" {
			return 80
		}
		return 1080
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func tlsHopOutcome(o TLSOutcome) string {
	switch o {
	case NotTLS:
		return "not-tls"
	case TLSClosed:
		return "closed"
	case TLSReset:
		return "reset"
	case TLSSilence:
		return "silence"
	}
	return "tls-failed"
}

// plainWorks says whether a proxy that does not speak TLS answers CONNECT in
// cleartext. No proxy credentials are sent for it.
func (r *run) plainWorks(ctx context.Context, to netip.AddrPort, p *Path, u *url.URL) bool {
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	raw, _ := r.connect(ctx, to, host.ConnectOptions{})
	if raw == nil {
		return false
	}
	bare := *u
	bare.User = nil
	scratch := Path{Host: p.Host, Port: p.Port, Proxy: &ProxyHop{}}
	if conn := r.connectThrough(ctx, raw, &scratch, &bare); conn != nil {
		conn.Close()
	}
	return scratch.Proxy.Status != 0
}

// connectThrough sends CONNECT and reads the answer.
func (r *run) connectThrough(ctx context.Context, raw net.Conn, p *Path, u *url.URL) net.Conn {
	hop := p.Proxy
	end, _ := ctx.Deadline()
	raw.SetDeadline(end)
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	target := net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
	req := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\nUser-Agent: " + userAgent + "\r\n"
	if u.User != nil {
		password, _ := u.User.Password()
		req += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)) + "\r\n"
	}
	fail := func(err error) net.Conn {
		stop()
		raw.Close()
		hop.Err = redactText(err.Error())
		hop.Outcome = hopOutcome(err)
		return nil
	}
	if _, err := io.WriteString(raw, req+"\r\n"); err != nil {
		return fail(fmt.Errorf("sending CONNECT: %w", err))
	}
	br := bufio.NewReader(raw)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fail(fmt.Errorf("reading the answer to CONNECT: %w", err))
	}
	hop.Outcome = "answered"
	hop.Status, hop.StatusLine = resp.StatusCode, resp.Proto+" "+resp.Status
	hop.Auth = redactText(resp.Header.Get("Proxy-Authenticate"))
	if hop.Via = resp.Header.Get("Via"); hop.Via == "" {
		hop.Via = resp.Header.Get("Server")
	}
	if resp.StatusCode/100 == 2 {
		stop()
		raw.SetDeadline(time.Time{})
		return &buffered{raw, br}
	}
	// A refusal explains itself in its body, which need not end.
	raw.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if len(body) == 0 {
		n := br.Buffered()
		body, _ = br.Peek(min(n, maxBody))
	}
	hop.Body = redactText(string(body))
	stop()
	raw.Close()
	return nil
}

func hopOutcome(err error) string {
	var timeout net.Error
	switch o := tlsOutcome(err); {
	case o == TLSReset:
		return "reset"
	case o == TLSSilence, errors.As(err, &timeout) && timeout.Timeout():
		return "silence"
	case o == TLSClosed:
		return "closed"
	}
	return "garbled"
}

// buffered is a connection of which some bytes have been read ahead.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }
