package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// innocent is a server name that no filter for registries has a reason to stop.
const innocent = "www.microsoft.com"

// trust is what certificates are verified against.
type trust struct {
	roots *x509.CertPool // nil: the operating system's
	err   error
	// extra are further files of authorities that some clients trust.
	extra func(name string) []string
	read  func(string) ([]byte, error)
	now   func() time.Time
}

func newTrust(h host.Host) trust {
	t := trust{read: h.ReadFile, now: h.Now}
	t.roots, t.err = h.Roots()
	t.extra = func(name string) []string {
		// https://docs.docker.com/engine/security/certificates/
		files, _ := h.Glob(path.Join("/etc/docker/certs.d", name, "*.crt"))
		for _, kv := range h.Environ() {
			if v, ok := strings.CutPrefix(kv, "REQUESTS_CA_BUNDLE="); ok && v != "" {
				files = append(files, v) // the Azure CLI's
			}
		}
		return files
	}
	return t
}

// distrust is why a certificate was not accepted.
type distrust struct {
	outcome TLSOutcome
	err     error
	by      string // file that does trust it
}

func (d *distrust) Error() string { return d.err.Error() }

// verify judges a chain. Which fault comes first matters: a certificate of an
// unknown authority is that whatever its names and dates, and an expired one
// was issued by somebody known.
func (t trust) verify(chain []*x509.Certificate, name string) *distrust {
	if len(chain) == 0 {
		return &distrust{outcome: TLSOtherFail, err: errors.New("the server sent no certificate")}
	}
	leaf, now := chain[0], t.now()
	if err := trusted(chain, t.roots, now, leaf.NotBefore.Add(time.Second)); err != nil {
		d := &distrust{outcome: UnknownCA, err: err}
		if t.err != nil {
			d.err = errors.Join(err, t.err)
		}
		for _, f := range t.extra(name) {
			pem, err := t.read(f)
			pool := x509.NewCertPool()
			if err == nil && pool.AppendCertsFromPEM(pem) && trusted(chain, pool, now, leaf.NotBefore.Add(time.Second)) == nil {
				d.by = f
				break
			}
		}
		return d
	}
	if name != "" {
		if err := leaf.VerifyHostname(name); err != nil {
			return &distrust{outcome: WrongName, err: err}
		}
	}
	if err := trusted(chain, t.roots, now); err != nil {
		return &distrust{outcome: OutOfTime, err: err}
	}
	return nil
}

// trusted verifies the chain at any of the given times.
func trusted(chain []*x509.Certificate, roots *x509.CertPool, at ...time.Time) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	var first error
	for _, when := range at {
		o.CurrentTime = when
		_, err := chain[0].Verify(o)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// handshake is the TLS stage. An empty name sends no server name. The
// connection is given only if the certificate was accepted: an unverified one
// is closed inside the handshake, as clients do, and never carries a request.
// With anyTime a certificate is accepted whose dates alone are wrong.
func (r *run) handshake(ctx context.Context, raw net.Conn, name string, anyTime bool) (*tls.Conn, *TLS) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	t := &TLS{ServerName: name}
	conn := tls.Client(raw, &tls.Config{
		ServerName:         name,
		NextProtos:         []string{"http/1.1"},
		InsecureSkipVerify: true, // VerifyConnection does it, and says why it fails
		VerifyConnection: func(s tls.ConnectionState) error {
			t.describe(s)
			d := r.trust.verify(s.PeerCertificates, name)
			if d == nil || anyTime && d.outcome == OutOfTime {
				return nil
			}
			return d
		},
	})
	err := conn.HandshakeContext(ctx)
	t.Took = time.Since(began)
	if err == nil {
		t.Outcome = Verified
		t.Version = tls.VersionName(conn.ConnectionState().Version)
		return conn, t
	}
	raw.Close()
	t.Err = redactText(err.Error())
	t.Outcome = tlsOutcome(err)
	var d *distrust
	if errors.As(err, &d) {
		t.TrustedBy = d.by
	}
	return nil, t
}

func (t *TLS) describe(s tls.ConnectionState) {
	t.Version = tls.VersionName(s.Version)
	if len(s.PeerCertificates) == 0 {
		return
	}
	leaf := s.PeerCertificates[0]
	t.Issuer, t.Subject = leaf.Issuer.String(), leaf.Subject.String()
	t.IssuerOrg = strings.Join(leaf.Issuer.Organization, ", ")
	t.Names = slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		t.Names = append(t.Names, ip.String())
	}
	t.NotBefore, t.NotAfter = leaf.NotBefore, leaf.NotAfter
}

func tlsOutcome(err error) TLSOutcome {
	var (
		d       *distrust
		record  tls.RecordHeaderError
		op      *net.OpError
		timeout net.Error
	)
	switch {
	case errors.As(err, &d):
		return d.outcome
	case errors.As(err, &record):
		return NotTLS
	case errors.As(err, &op) && op.Op == "remote error":
		return TLSAlert
	case host.IsReset(err):
		return TLSReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return TLSClosed
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return TLSSilence
	}
	return TLSOtherFail
}

// suspicious outcomes are those that a filter on the path can cause, so that
// a handshake with another name on the same way tells more.
func suspicious(o TLSOutcome) bool {
	switch o {
	case TLSReset, TLSClosed, TLSSilence, TLSAlert, NotTLS, TLSOtherFail:
		return true
	}
	return false
}
