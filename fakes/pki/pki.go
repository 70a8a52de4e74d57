// Package pki mints the certificates of the simulated internet, under
// authorities that live as long as one run and that only simulated hosts trust.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"
)

// Authority is a certificate authority. It is safe for concurrent use.
//
// Keys are ECDSA P-256, unlike Azure's RSA: minting takes microseconds and no
// client looks.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	der  []byte

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// AzureSubject is the issuer seen on registry certificates in 2024
// (docs/fidelity.md, TLS).
var AzureSubject = pkix.Name{
	Country: []string{"US"}, Organization: []string{"Microsoft Corporation"},
	CommonName: "Microsoft Azure RSA TLS Issuing CA 03",
}

// CorpSubject is the authority of a company that inspects TLS.
var CorpSubject = pkix.Name{Organization: []string{"Corp Example"}, CommonName: "Corp Example TLS Inspection CA"}

// New makes an authority that is valid for ten years.
func New(subject pkix.Name) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating the key of %q: %w", subject.CommonName, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("signing %q: %w", subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing %q: %w", subject.CommonName, err)
	}
	return &Authority{cert: cert, key: key, der: der, leaves: map[string]*tls.Certificate{}}, nil
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der})
}

// Pool trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// Leaf is a server certificate for names, valid from a month ago for a year.
// The first name is the common name. Equal names give the same certificate.
func (a *Authority) Leaf(names ...string) (*tls.Certificate, error) {
	now := time.Now()
	return a.leaf(names, now.AddDate(0, -1, 0), now.AddDate(1, 0, 0))
}

// LeafValid is Leaf with dates of the caller's choice, not kept.
func (a *Authority) LeafValid(notBefore, notAfter time.Time, names ...string) (*tls.Certificate, error) {
	return a.mint(names, notBefore, notAfter)
}

func (a *Authority) leaf(names []string, from, to time.Time) (*tls.Certificate, error) {
	id := strings.Join(names, " ")
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[id]; c != nil {
		return c, nil
	}
	c, err := a.mint(names, from, to)
	if err == nil {
		a.leaves[id] = c
	}
	return c, err
}

func (a *Authority) mint(names []string, from, to time.Time) (*tls.Certificate, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("minting a certificate: no name given")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating the key of %s: %w", names[0], err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Locality: []string{"Redmond"},
			Organization: a.cert.Subject.Organization, CommonName: names[0]},
		NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %s: %w", names[0], err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the certificate of %s: %w", names[0], err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.der}, PrivateKey: key, Leaf: leaf}, nil
}
