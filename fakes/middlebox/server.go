package middlebox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/acrlab/acrlab/fakes/middlebox/stream"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

// helloTimeout is how long a client may take to say whom it wants. After that
// the connection is treated as one without a name, so that protocols in which
// the server speaks first get through where names are not required.
const helloTimeout = 5 * time.Second

// dialTimeout bounds connecting to the original destination.
const dialTimeout = 60 * time.Second

// OriginalDestination finds where a redirected connection was going.
type OriginalDestination func(net.Conn) (netip.AddrPort, error)

// Server is a running middlebox.
type Server struct {
	*stream.Server
	net         netio.Net
	cfg         atomic.Pointer[Config]
	inspector   stream.Inspector
	destination OriginalDestination
}

var _ netio.Server = (*Server)(nil)

// Option changes a server.
type Option func(*Server)

// WithOriginalDestination replaces the reading of SO_ORIGINAL_DST, which needs
// a redirect by netfilter.
func WithOriginalDestination(f OriginalDestination) Option {
	return func(s *Server) { s.destination = f }
}

// Serve takes connections that were redirected to any address of listen. corp
// signs what inspection presents; servers are then verified against upstream.
// ctx governs only the listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, cfg Config, corp *pki.Authority, upstream *x509.CertPool, opts ...Option) (*Server, error) {
	s := &Server{net: n, inspector: stream.Inspector{Corp: corp, Roots: upstream}, destination: originalDestination}
	for _, o := range opts {
		o(s)
	}
	if err := s.Update(cfg); err != nil {
		return nil, err
	}
	var err error
	if s.Server, err = stream.Serve(ctx, n, listen, s.handle); err != nil {
		return nil, fmt.Errorf("serving a middlebox: %w", err)
	}
	return s, nil
}

// Update takes a new configuration for connections to come.
func (s *Server) Update(cfg Config) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	if cfg.Inspect && s.inspector.Corp == nil {
		return fmt.Errorf("configuring a middlebox: inspection needs an authority")
	}
	s.cfg.Store(&cfg)
	return nil
}

// ReadServerName reads one ClientHello, over as many segments and records as it
// takes, and returns the name in it ("" if it has none) and all bytes read.
// The error is [stream.ErrNotTLS] if it is none.
func ReadServerName(r io.Reader) (name string, raw []byte, err error) {
	hello, raw, err := stream.ReadHello(r)
	return hello.ServerName, raw, err
}

func (s *Server) handle(ctx context.Context, conn net.Conn) {
	cfg := *s.cfg.Load()
	to, err := s.destination(conn)
	if err != nil || to.String() == conn.LocalAddr().String() {
		// Somebody connected to the middlebox itself: nobody is meant.
		stream.Reset(conn)
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(helloTimeout))
	hello, raw, err := stream.ReadHello(conn)
	_ = conn.SetReadDeadline(time.Time{})
	var timeout net.Error
	switch {
	case errors.Is(err, stream.ErrNotTLS) && cfg.PlainHTTP != nil && looksLikeHTTP(raw):
		answerPage(stream.Replay(conn, raw), *cfg.PlainHTTP)
		return
	case err != nil && len(raw) == 0 && !(errors.As(err, &timeout) && timeout.Timeout()):
		return // came and went
	}
	isTLS := err == nil
	switch {
	case cfg.Refuses(hello.ServerName):
		refuse(ctx, conn, cfg.Action)
	case isTLS && cfg.Inspects(hello.ServerName):
		if server, ok := s.connect(ctx, conn, to); ok {
			// An error means that one of the two did not trust the other end;
			// it has been told so by a closed connection.
			_ = s.inspector.Serve(ctx, stream.Replay(conn, raw), server, hello, to.Addr().String())
		}
	default:
		server, ok := s.connect(ctx, conn, to)
		if !ok {
			return
		}
		if _, err := server.Write(raw); err != nil {
			_ = server.Close()
			stream.Reset(conn)
			return
		}
		stream.Splice(ctx, conn, server)
	}
}

// connect dials the original destination. The client believes itself
// connected already, so a failure reaches it as a reset.
func (s *Server) connect(ctx context.Context, client net.Conn, to netip.AddrPort) (net.Conn, bool) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	server, err := s.net.DialContext(ctx, "tcp", to.String())
	if err != nil {
		stream.Reset(client)
		return nil, false
	}
	return server, true
}

func refuse(ctx context.Context, conn net.Conn, action Action) {
	switch action {
	case Close:
		stream.Finish(conn)
	case Silence:
		stream.Hold(ctx, conn)
	default:
		stream.Reset(conn)
	}
}

// looksLikeHTTP: a method is a token in capitals for every method in use (RFC
// 9110 section 9).
func looksLikeHTTP(raw []byte) bool { return len(raw) > 0 && raw[0] >= 'A' && raw[0] <= 'Z' }

// answerPage reads one request head and answers it.
func answerPage(conn net.Conn, page Page) {
	_ = conn.SetReadDeadline(time.Now().Add(helloTimeout))
	if _, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, 64<<10))); err != nil {
		stream.Finish(conn)
		return
	}
	reason := http.StatusText(page.Status)
	if reason == "" {
		reason = fmt.Sprintf("status code %d", page.Status) // as Azure Firewall spells 470
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%s",
		page.Status, reason, time.Now().UTC().Format(http.TimeFormat), len(page.Body), page.Body)
	_, _ = conn.Write(b.Bytes())
	stream.Finish(conn)
}
