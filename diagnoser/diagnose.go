package diagnoser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/acrlab/acrlab/diagnoser/host"
	"github.com/acrlab/acrlab/diagnoser/infer"
	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/inventory/arm"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// azureTimeout bounds what is read from Azure, signing in included.
const azureTimeout = 15 * time.Second

func diagnose(ctx context.Context, h host.Host, target string, o Options) (*diagnosis.Diagnosis, error) {
	t, err := probe.ParseTarget(target)
	if err != nil {
		return nil, err
	}
	limit := o.Timeout
	if limit <= 0 {
		limit = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var azure *session
	var noAzure string
	switch {
	case o.WithoutAzure:
		noAzure = "left out on request"
	default:
		tr, err := newTransport(h)
		if err != nil {
			noAzure = err.Error()
			break
		}
		defer tr.Close()
		azure = newSession(h, tr, t.Host)
	}

	var wg sync.WaitGroup
	var inv *inventory.Inventory
	var further *probe.Report
	works := make(chan struct{})
	po := probe.Options{Push: o.Push}
	if azure != nil {
		po.Entra = azure.token
		wg.Go(func() {
			if inv, noAzure = azure.read(ctx, t.Host, o); inv != nil {
				further = probeNamed(ctx, h, t, inv, works)
			}
		})
	}
	report := probe.Run(ctx, h, t, po)
	if azure != nil && infer.Judge(report, nil).Works {
		// Nobody is asked to wait for a metadata service that may not be there,
		// to be told that all is well.
		close(azure.hurry)
		close(works)
	}
	wg.Wait()
	report.Add(further)
	if err := ctx.Err(); err != nil && len(report.Paths) == 0 && len(report.Lookups) == 0 {
		return nil, fmt.Errorf("diagnosing %s: %w", t.Host, err)
	}
	return compose(report, inv, noAzure), nil
}

// patience is what other replicas' data endpoints are waited for once the image
// is known to come without them.
const patience = 300 * time.Millisecond

// probeNamed looks at what Azure named and the registry may never lead to: every
// replica's data endpoint, and the private endpoints of a client that stands in
// no network of Azure's.
func probeNamed(ctx context.Context, h host.Host, t probe.Target, inv *inventory.Inventory, works <-chan struct{}) *probe.Report {
	named := infer.Named(inv, t)
	if len(named.DataHosts) == 0 && len(named.Endpoints) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-works:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(patience):
			cancel()
		case <-ctx.Done():
		}
	}()
	return probe.Further(ctx, h, t, probe.Options{}, named)
}

// compose judges what was seen and puts it into the contract's form. noAzure
// says why there is no inventory.
func compose(report *probe.Report, inv *inventory.Inventory, noAzure string) *diagnosis.Diagnosis {
	j := infer.Judge(report, inv)
	d := &diagnosis.Diagnosis{
		Schema: diagnosis.Schema, Registry: report.Target.Host, Healthy: j.Works,
		Findings: j.Findings, Observations: j.Observations, NotChecked: j.NotChecked,
	}
	if inv == nil && noAzure != "" {
		d.NotChecked = append(d.NotChecked, diagnosis.Omission{Check: "Azure Resource Manager", Because: noAzure})
	}
	redact(d)
	return d
}

// session is one signing in to Azure that the inventory and the probes share.
type session struct {
	transport *transport
	environ   []string
	cloud     cloud.Configuration
	// hurry is closed when only a metadata service could still be waited for.
	hurry chan struct{}
	once  sync.Once
	cred  azcore.TokenCredential
	err   error
}

func newSession(h host.Host, tr *transport, loginServer string) *session {
	return &session{transport: tr, environ: h.Environ(), cloud: arm.CloudOf(loginServer), hurry: make(chan struct{})}
}

func (s *session) options() arm.Options {
	return arm.Options{Transport: &http.Client{Transport: s.transport}, Environ: s.environ, Cloud: &s.cloud, Timeout: azureTimeout, Hurry: s.hurry}
}

// credential signs in once.
func (s *session) credential(ctx context.Context) (azcore.TokenCredential, error) {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, azureTimeout)
		defer cancel()
		s.cred, s.err = arm.FindCredential(ctx, s.cloud, s.options())
	})
	return s.cred, s.err
}

// read gives the inventory, or nil and why there is none.
func (s *session) read(ctx context.Context, loginServer string, o Options) (*inventory.Inventory, string) {
	cred, err := s.credential(ctx)
	if err != nil {
		return nil, err.Error()
	}
	opts := s.options()
	opts.Credential, opts.Subscription = cred, o.Subscription
	inv := arm.Read(ctx, opts, loginServer)
	if missing := inv.Missing(); len(missing) == len(inventory.Parts()) {
		return nil, inv.Status[missing[0]].Err
	}
	return inv, ""
}

// token is an Entra token for Azure Resource Manager and its tenant.
func (s *session) token(ctx context.Context) (tenant, token string, err error) {
	cred, err := s.credential(ctx)
	if err != nil {
		return "", "", err
	}
	got, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.cloud.Services[cloud.ResourceManager].Audience + "/.default"}})
	if err != nil {
		return "", "", err
	}
	tenant, err = tenantOf(got.Token)
	return tenant, got.Token, err
}

// tenantOf reads the claim tid of a token without verifying it: it is only
// sent on to whoever does.
func tenantOf(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the Entra token is not a JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", fmt.Errorf("reading the Entra token's claims: %w", err)
	}
	var c struct {
		Tenant string `json:"tid"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", fmt.Errorf("reading the Entra token's claims: %w", err)
	}
	return c.Tenant, nil
}
