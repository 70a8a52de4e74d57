// Package service starts the servers that a plan names on the hosts of a
// fabric. It is the only place that knows every fake.
package service

import (
	"context"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/harness/plan"
)

// Set holds what the services of one world share: certificate authorities,
// registry content, Azure state. Make one with [NewSet].
type Set struct {
	Azure *pki.Authority // signs Azure's certificates
	Corp  *pki.Authority // signs what TLS inspection presents

	shared shared
}

// Running is a service that can be changed while it runs.
type Running interface {
	netio.Server
	// Update takes a new configuration for the same listeners. Connections of
	// before may go on.
	Update(ctx context.Context, s plan.Service) error
}
