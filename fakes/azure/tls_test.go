package azure

import (
	"crypto/tls"

	"github.com/acrlab/acrlab/fakes/pki"
)

func tlsFor(ca *pki.Authority) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: Host}
}
