package prove

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"

	"github.com/acrlab/acrlab/harness/prove/sentence"
)

// handshakes checks a TLS handshake; TCP must connect.
func (e eye) handshakes(ctx context.Context, s sentence.Sentence) error {
	wait := patience
	if s.Outcome == sentence.Silent {
		wait = patience/2 + silence // resolving and connecting, then the silence itself
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := e.dial(ctx, s.Name, s.Port)
	if err != nil {
		return err
	}
	defer conn.Close()
	name := s.ServerName
	if name == "" {
		name = s.Name
	}
	// The chain is verified afterwards, so that the issuer of a foreign
	// certificate can be told.
	config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // verified below
	if _, err := netip.ParseAddr(name); err != nil {
		config.ServerName = name
	}
	if s.Outcome == sentence.Silent {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, silence)
		defer cancel()
	}
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		return e.failed(s, err)
	}
	return judge(s, name, client.ConnectionState(), e.world.Trust(e.host.Name))
}

// failed judges a handshake that did not come to its end.
func (e eye) failed(s sentence.Sentence, err error) error {
	got := failure(err)
	if got == sentence.NoAnswer {
		got = sentence.Silent
	}
	if got == s.Outcome {
		return nil
	}
	words := map[sentence.Outcome]string{
		sentence.Reset:  "was reset",
		sentence.Closed: "was closed by the other side",
		sentence.Silent: "was not answered",
	}[got]
	if words == "" {
		words = "failed"
	}
	return fmt.Errorf("the TLS handshake of %s with %s:%d %s (%v)", e.host.Name, s.Name, s.Port, words, err)
}

// judge looks at the certificates of a handshake that came to its end.
func judge(s sentence.Sentence, name string, state tls.ConnectionState, trust []byte) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the handshake ended without a certificate")
	}
	leaf := state.PeerCertificates[0]
	issuer := leaf.Issuer.CommonName
	err := verify(state.PeerCertificates, name, trust)
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	switch {
	case s.Outcome == sentence.SignedBy && issuer == s.Issuer:
		return nil
	case s.Outcome == sentence.SignedBy:
		return fmt.Errorf("the certificate of %s:%d is signed by %q", s.Name, s.Port, issuer)
	case s.Outcome == sentence.Verified && err == nil:
		return nil
	case s.Outcome == sentence.NotTrusted && errors.As(err, &authority):
		return nil
	case s.Outcome == sentence.WrongName && errors.As(err, &hostname):
		return nil
	case err != nil:
		return fmt.Errorf("the handshake with %s:%d came to its end, but: %w (issuer %q)", s.Name, s.Port, err, issuer)
	}
	return fmt.Errorf("the handshake with %s:%d came to its end and the certificate of %q is in order", s.Name, s.Port, issuer)
}

func verify(chain []*x509.Certificate, name string, trust []byte) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(trust)
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name})
	return err
}
