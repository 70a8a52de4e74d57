package proxy

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/acrlab/acrlab/fakes/middlebox/stream"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

const (
	headTimeout = 60 * time.Second // for a request's head
	dialTimeout = 60 * time.Second // squid's connect_timeout
	maxHead     = 64 << 10         // squid's request_header_max_size
)

// Server is a running proxy.
type Server struct {
	*stream.Server
	net       netio.Net
	cfg       atomic.Pointer[Config]
	inspector stream.Inspector
}

var _ netio.Server = (*Server)(nil)

// Serve answers at every address of listen. corp signs what inspection
// presents; servers are then verified against upstream. ctx governs only the
// listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, cfg Config, corp *pki.Authority, upstream *x509.CertPool) (*Server, error) {
	s := &Server{net: n, inspector: stream.Inspector{Corp: corp, Roots: upstream}}
	if err := s.Update(cfg); err != nil {
		return nil, err
	}
	var err error
	if s.Server, err = stream.Serve(ctx, n, listen, s.handle); err != nil {
		return nil, fmt.Errorf("serving a proxy: %w", err)
	}
	return s, nil
}

// Update takes a new configuration for requests to come. Tunnels go on.
func (s *Server) Update(cfg Config) error {
	switch cfg.Behaviour {
	case Answer, Close, Silence:
	default:
		return fmt.Errorf("configuring a proxy: behaviour %q is none of answer (empty), close, silence", cfg.Behaviour)
	}
	if cfg.Inspect && s.inspector.Corp == nil {
		return fmt.Errorf("configuring a proxy: inspection needs an authority")
	}
	s.cfg.Store(&cfg)
	return nil
}

func (s *Server) handle(ctx context.Context, conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		cfg := *s.cfg.Load()
		_ = conn.SetReadDeadline(time.Now().Add(headTimeout))
		first, err := in.Peek(1)
		if err != nil {
			return
		}
		if first[0] == 0x16 {
			// A TLS handshake record: the client was given https:// for a proxy
			// that speaks cleartext. It gets no byte, and then a FIN.
			stream.Finish(conn)
			return
		}
		req, err := readRequest(in)
		_ = conn.SetReadDeadline(time.Time{})
		switch {
		case err != nil:
			if errors.Is(err, io.EOF) {
				return
			}
			_ = answer(conn, badRequest(err))
			stream.Finish(conn)
			return
		case cfg.Behaviour == Close:
			stream.Finish(conn)
			return
		case cfg.Behaviour == Silence:
			stream.Hold(ctx, conn)
			return
		}
		if again := s.serve(ctx, cfg, conn, in, req); !again {
			return
		}
	}
}

// readRequest takes one request head and bounds its size.
func readRequest(in *bufio.Reader) (*http.Request, error) {
	// The limit must not swallow what follows the head: parse from a copy of
	// the lines, read one by one.
	var head strings.Builder
	for {
		line, err := in.ReadSlice('\n')
		head.Write(line)
		if head.Len() > maxHead {
			return nil, fmt.Errorf("request head of more than %d bytes", maxHead)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if s := head.String(); strings.HasSuffix(s, "\r\n\r\n") || strings.HasSuffix(s, "\n\n") {
			break
		}
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head.String())))
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = fmt.Errorf("malformed request")
		}
		return nil, err
	}
	return req, nil
}

// serve answers one request; again says that the connection takes another.
func (s *Server) serve(ctx context.Context, cfg Config, conn net.Conn, in *bufio.Reader, req *http.Request) (again bool) {
	target, err := targetOf(req)
	if err != nil {
		_ = answer(conn, badRequest(err))
		stream.Finish(conn)
		return false
	}
	switch {
	case cfg.Refuses(target.host):
		_ = answer(conn, accessDenied(target))
		stream.Finish(conn)
		return false
	case cfg.Challenges(target.host):
		// No account exists: credentials that are sent are wrong ones. Clients
		// that answer a challenge do so on the same connection, unless they had
		// a body to send.
		if answer(conn, authenticationRequired(target)) == nil && req.ContentLength == 0 {
			return true
		}
		stream.Finish(conn)
		return false
	}
	server, fail := s.connect(ctx, cfg, target)
	if fail != nil {
		_ = answer(conn, *fail)
		stream.Finish(conn)
		return false
	}
	if req.Method != http.MethodConnect {
		forward(ctx, conn, in, server, req)
		return false
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = server.Close()
		return false
	}
	// What the client sent ahead of the answer is part of the tunnel.
	early, _ := in.Peek(in.Buffered())
	s.tunnel(ctx, cfg, stream.Replay(conn, append([]byte(nil), early...)), server, target)
	return false
}

func (s *Server) tunnel(ctx context.Context, cfg Config, client, server net.Conn, to target) {
	if !cfg.Inspects(to.host) {
		stream.Splice(ctx, client, server)
		return
	}
	_ = client.SetReadDeadline(time.Now().Add(headTimeout))
	hello, raw, err := stream.ReadHello(client)
	_ = client.SetReadDeadline(time.Time{})
	client = stream.Replay(client, raw)
	if err != nil || stream.MatchName(cfg.Exempt, hello.ServerName) {
		stream.Splice(ctx, client, server) // not TLS, or exempt
		return
	}
	_ = s.inspector.Serve(ctx, client, server, hello, to.host)
}

// forward passes one cleartext request on and its answer back.
func forward(ctx context.Context, conn net.Conn, in *bufio.Reader, server net.Conn, req *http.Request) {
	defer server.Close()
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	// The body follows the head on the client's connection.
	if req.ContentLength > 0 {
		req.Body = io.NopCloser(io.LimitReader(in, req.ContentLength))
	} else if req.ContentLength < 0 {
		_ = answer(conn, lengthRequired())
		stream.Finish(conn)
		return
	}
	for _, h := range []string{"Proxy-Connection", "Proxy-Authorization", "Connection", "Keep-Alive", "Te", "Trailer", "Upgrade"} {
		req.Header.Del(h)
	}
	req.Header.Set("Via", "1.1 "+visibleName+" ("+software+")")
	req.Close = true
	if err := req.Write(server); err != nil {
		_ = answer(conn, connectFailed(target{host: req.URL.Hostname(), port: req.URL.Port()}, err))
		stream.Finish(conn)
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(server), req)
	if err != nil {
		_ = answer(conn, zeroSize(req.URL.String()))
		stream.Finish(conn)
		return
	}
	defer resp.Body.Close()
	resp.Header.Add("Via", "1.1 "+visibleName+" ("+software+")")
	resp.Close = true
	_ = resp.Write(conn)
	stream.Finish(conn)
}
