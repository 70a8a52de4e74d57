// Package diagnoser finds out why a registry cannot be reached from here: it
// runs the probes and reads Azure at the same time, judges what both saw, and
// writes the diagnosis for a person.
//
// It knows the order of things and nothing of evidence, which is package
// infer's, nor of sockets, which are package probe's.
package diagnoser

import (
	"context"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
	"github.com/acrlab/acrlab/diagnosis"
)

// Options of a diagnosis. The zero value reads Azure if credentials are found.
type Options struct {
	// WithoutAzure leaves Azure Resource Manager alone.
	WithoutAzure bool
	// Subscription narrows the reads; default AZURE_SUBSCRIPTION_ID, then
	// every visible subscription.
	Subscription string
	// Push also opens an upload to the registry and cancels it.
	Push bool
	// Timeout bounds the whole diagnosis. Default two minutes.
	Timeout time.Duration
}

// Diagnose says what keeps images of target ("myregistry.azurecr.io" or
// "myregistry.azurecr.io/repository:tag") from being pulled at h.
func Diagnose(ctx context.Context, h host.Host, target string, o Options) (*diagnosis.Diagnosis, error) {
	return diagnose(ctx, h, target, o)
}
