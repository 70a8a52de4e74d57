package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"github.com/acrlab/acrlab/fakes/pki"
)

// HandshakeTimeout bounds each of the two handshakes of an inspected connection.
const HandshakeTimeout = 30 * time.Second

// Inspector terminates TLS on the way: the client gets a certificate of Corp,
// the server is verified against Roots.
type Inspector struct {
	Corp  *pki.Authority
	Roots *x509.CertPool
}

// Serve stands between client and server, whose names are hello.ServerName or,
// if the client sent none, fallback (a name or an address). The server is asked
// first, so that both sides speak the protocol that it chose (ALPN). client
// must replay the ClientHello. Both connections are closed when it returns.
//
// If the server cannot be verified the client is closed before any answer.
func (i Inspector) Serve(ctx context.Context, client, server net.Conn, hello Hello, fallback string) error {
	defer client.Close()
	defer server.Close()
	name := hello.ServerName
	if name == "" {
		name = fallback
	}
	if i.Corp == nil {
		return fmt.Errorf("inspecting %s: no authority to sign with", name)
	}
	outer := tls.Client(server, &tls.Config{ServerName: name, RootCAs: i.Roots, NextProtos: hello.Protocols})
	if err := handshake(ctx, outer); err != nil {
		return fmt.Errorf("inspecting %s: handshake with the server: %w", name, err)
	}
	leaf, err := i.Corp.Leaf(name)
	if err != nil {
		return fmt.Errorf("inspecting %s: %w", name, err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{*leaf}}
	if p := outer.ConnectionState().NegotiatedProtocol; p != "" {
		cfg.NextProtos = []string{p}
	}
	inner := tls.Server(client, cfg)
	if err := handshake(ctx, inner); err != nil {
		return fmt.Errorf("inspecting %s: handshake with the client: %w", name, err)
	}
	Splice(ctx, inner, outer)
	return nil
}

func handshake(ctx context.Context, c *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	return c.HandshakeContext(ctx)
}
