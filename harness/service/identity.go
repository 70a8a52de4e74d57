package service

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/imds"
)

// Tenant is the directory of an id, with which a test or a lab approves device
// codes.
func (s *Set) Tenant(id string) (*entra.Tenant, error) { return s.shared.tenantOf(id) }

func (sh *shared) tenantOf(id string) (*entra.Tenant, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.tenants[strings.ToLower(id)]
	if t == nil {
		return nil, fmt.Errorf("tenant %q is not among the network's tenants (was Prepare called?)", id)
	}
	return t, nil
}

// identityToken signs for the metadata service, by whichever tenant has the identity.
func (sh *shared) identityToken(id imds.Identity, resource string, now time.Time) (string, time.Duration, error) {
	sh.mu.Lock()
	tenants := make([]*entra.Tenant, 0, len(sh.tenants))
	for _, t := range sh.tenants {
		tenants = append(tenants, t)
	}
	sh.mu.Unlock()
	var errs []error
	for _, t := range tenants {
		token, err := t.IdentityToken(id.ClientID, resource, now)
		if err == nil {
			return token, entra.Lifetime, nil
		}
		errs = append(errs, err)
	}
	return "", 0, fmt.Errorf("signing a token of managed identity %s: %w", id.ClientID, errors.Join(append(errs, errors.New("no tenant could"))...))
}
