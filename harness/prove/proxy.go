package prove

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/prove/sentence"
)

// proxied sends CONNECT (RFC 9110 section 9.3.6) to the network's proxy, without
// credentials, in the way that the host's shell is told to: in clear, or inside
// TLS when HTTPS_PROXY begins with https.
func (e eye) proxied(ctx context.Context, s sentence.Sentence) error {
	wait := patience
	if s.Outcome == sentence.Silent {
		wait = silence
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	proxy, err := proxyOf(e.network)
	if err != nil {
		return err
	}
	conn, err := e.world.Dial(ctx, e.host.Name, "tcp", proxy.String())
	if err != nil {
		return fmt.Errorf("%s cannot connect to the proxy at %s: %w", e.host.Name, proxy, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	target := net.JoinHostPort(s.Name, strconv.Itoa(int(s.Port)))
	status, err := 0, error(nil)
	if speaksTLS(e.host) {
		// Whose certificate it is does not matter here: no secret is sent.
		client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec
		if err = client.HandshakeContext(ctx); err == nil {
			status, err = connect(client, target)
		}
	} else {
		status, err = connect(conn, target)
	}
	got := outcome(ctx, err)
	switch {
	case got == s.Outcome && (got != sentence.Status || status == s.Status):
		return nil
	case got == sentence.Status:
		return fmt.Errorf("the proxy at %s answered %d to CONNECT %s", proxy, status, target)
	case got == sentence.Closed:
		return fmt.Errorf("the proxy at %s closed the connection after CONNECT %s (%v)", proxy, target, err)
	case got == sentence.Silent:
		return fmt.Errorf("the proxy at %s did not answer CONNECT %s", proxy, target)
	}
	return fmt.Errorf("CONNECT %s at the proxy %s: %w", target, proxy, err)
}

// speaksTLS says that the host's shell addresses the proxy itself by https.
func speaksTLS(h plan.Host) bool {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if u, err := url.Parse(h.Env[name]); err == nil && u.Scheme == "https" {
			return true
		}
	}
	return false
}

func connect(conn net.Conn, target string) (status int, err error) {
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

func outcome(ctx context.Context, err error) sentence.Outcome {
	switch {
	case err == nil:
		return sentence.Status
	case ctx.Err() != nil:
		return sentence.Silent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return sentence.Closed
	}
	return ""
}

// proxyOf is where the network's proxy listens.
func proxyOf(n *plan.Network) (netip.AddrPort, error) {
	for _, h := range n.Hosts {
		for _, s := range h.Services {
			if s.Proxy == nil || len(s.Listen) == 0 {
				continue
			}
			at := s.Listen[0]
			if !at.Addr().IsUnspecified() {
				return at, nil
			}
			if a, ok := addressOf(n, h.Name); ok {
				return netip.AddrPortFrom(a, at.Port()), nil
			}
		}
	}
	return netip.AddrPort{}, errors.New("the network has no proxy that listens")
}

// addressOf is the first address of a host.
func addressOf(n *plan.Network, host string) (netip.Addr, bool) {
	for _, l := range n.Links {
		for _, end := range l.Ends {
			if end.Host == host && len(end.Addresses) > 0 {
				return end.Addresses[0].Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}
