package probe

import (
	"context"
	"net/netip"
	"time"
)

// Options vary a run. The zero value is a whole run without credentials but
// those of the Docker configuration.
type Options struct {
	// Timeout bounds the whole run. Zero means 10 s.
	Timeout time.Duration
	// DataHosts are data endpoints known from elsewhere, one per replica, e.g.
	// "myregistry.westeurope.data.azurecr.io". They are resolved and probed.
	DataHosts []string
	// Entra gives a Microsoft Entra access token for Azure Resource Manager (or
	// for https://containerregistry.azure.net) and its tenant, to be exchanged
	// for a registry token. It is asked only if there are no Docker credentials.
	Entra func(context.Context) (tenant, token string, err error)
	// PublicResolvers are asked to see what the rest of the world sees. Nil
	// means 8.8.8.8 and 1.1.1.1; an empty slice none.
	PublicResolvers []netip.Addr
	// Push opens an upload in the target's repository and cancels it.
	Push bool
	// MaxBlob bounds the layer that is read, in bytes. Zero means 16 MiB.
	MaxBlob int64
}

// Bounds of the stages. A stage after TCP has stageTimeout, whatever comes
// before or after it.
const (
	defaultTimeout = 10 * time.Second
	stageTimeout   = 3 * time.Second
	dnsTimeout     = 2 * time.Second
	dnsRetry       = 800 * time.Millisecond
	// slow is when a stage that has not ended lets the probes begin that only
	// matter if it fails, so that their time is not added to its.
	slow = 400 * time.Millisecond

	defaultMaxBlob = 16 << 20
	maxBody        = 2 << 10
	maxManifest    = 4 << 20
)

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBlob <= 0 {
		o.MaxBlob = defaultMaxBlob
	}
	if o.PublicResolvers == nil {
		o.PublicResolvers = []netip.Addr{netip.AddrFrom4([4]byte{8, 8, 8, 8}), netip.AddrFrom4([4]byte{1, 1, 1, 1})}
	}
	return o
}

// azureDNS is the resolver that Azure gives every virtual network; it answers
// from inside one only.
// https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
var azureDNS = netip.AddrFrom4([4]byte{168, 63, 129, 16})
