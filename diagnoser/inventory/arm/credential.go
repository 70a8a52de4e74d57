package arm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

const (
	// imdsPresence is how long the metadata service of a virtual machine may take
	// to show that it is there: it answers from the machine's own host, within
	// milliseconds if the machine is not busy.
	imdsPresence = time.Second
	// imdsTimeout bounds the token that it is asked for then.
	imdsTimeout = 3 * time.Second
)

// ErrNoCredential says that nothing to sign in with was found.
var ErrNoCredential = errors.New("no Azure credentials: neither AZURE_CLIENT_ID with a secret, nor a workload identity, a managed identity, or a signed-in Azure CLI")

// source is one way to sign in.
type source struct {
	name string
	make func() (azcore.TokenCredential, error)
	// limit bounds its first token; 0: the caller's context alone.
	limit time.Duration
	// present says quickly whether there is anything to ask. Nil: there is.
	present func(context.Context) bool
}

// FindCredential tries, in this order, the environment, workload identity,
// managed identity and the Azure CLI, and gives the first that yields a token.
// The error is [ErrNoCredential] if none is configured, or says what failed.
func FindCredential(ctx context.Context, c cloud.Configuration, o Options) (azcore.TokenCredential, error) {
	env := environment(o.Environ)
	opts := azcore.ClientOptions{Cloud: c, Transport: o.Transport, Retry: policy.RetryOptions{MaxRetries: 1, RetryDelay: 200 * time.Millisecond}}
	scope := c.Services[cloud.ResourceManager].Audience + "/.default"
	var failures []error
	for _, s := range sources(env, opts, o.Hurry) {
		if s.present != nil && !s.present(ctx) {
			continue
		}
		cred, err := s.make()
		if err == nil {
			err = try(ctx, cred, scope, s.limit)
		}
		if err == nil {
			return cred, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("signing in to Azure by %s: %w", s.name, ctx.Err())
		}
		// A source that answered with a refusal is worth telling; one that is
		// not there is not.
		// A firewall may answer at the metadata service's address; it does not
		// speak JSON.
		var refused *azidentity.AuthenticationFailedError
		if s.limit == 0 || errors.As(err, &refused) && refused.RawResponse != nil && strings.Contains(refused.RawResponse.Header.Get("Content-Type"), "json") {
			failures = append(failures, fmt.Errorf("signing in to Azure by %s: %w", s.name, brief(err)))
		}
	}
	if len(failures) > 0 {
		return nil, errors.Join(failures...)
	}
	return nil, ErrNoCredential
}

func try(ctx context.Context, cred azcore.TokenCredential, scope string, limit time.Duration) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	_, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	return err
}

func sources(env map[string]string, opts azcore.ClientOptions, hurry <-chan struct{}) []source {
	tenant, id := env["AZURE_TENANT_ID"], env["AZURE_CLIENT_ID"]
	var out []source
	if secret := env["AZURE_CLIENT_SECRET"]; tenant != "" && id != "" && secret != "" {
		out = append(out, source{name: "AZURE_CLIENT_SECRET", make: func() (azcore.TokenCredential, error) {
			// Instance discovery would ask one more host, which a closed network
			// need not let through; the authority comes from a fixed list.
			return azidentity.NewClientSecretCredential(tenant, id, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: opts, DisableInstanceDiscovery: true})
		}})
	}
	if path := env["AZURE_CLIENT_CERTIFICATE_PATH"]; tenant != "" && id != "" && path != "" {
		out = append(out, source{name: "AZURE_CLIENT_CERTIFICATE_PATH", make: func() (azcore.TokenCredential, error) {
			pem, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			certs, key, err := azidentity.ParseCertificates(pem, []byte(env["AZURE_CLIENT_CERTIFICATE_PASSWORD"]))
			if err != nil {
				return nil, err
			}
			return azidentity.NewClientCertificateCredential(tenant, id, certs, key, &azidentity.ClientCertificateCredentialOptions{ClientOptions: opts, DisableInstanceDiscovery: true})
		}})
	}
	if file := env["AZURE_FEDERATED_TOKEN_FILE"]; tenant != "" && id != "" && file != "" {
		out = append(out, source{name: "workload identity", make: func() (azcore.TokenCredential, error) {
			return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: opts, ClientID: id, TenantID: tenant, TokenFilePath: file, DisableInstanceDiscovery: true})
		}})
	}
	if len(out) > 0 {
		return out // what was configured on purpose is used, or its failure told
	}
	managed := opts
	managed.Retry.MaxRetries = -1
	out = append(out, source{name: "managed identity", limit: imdsTimeout, present: managedIdentity(env, opts.Transport, hurry), make: func() (azcore.TokenCredential, error) {
		o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: managed}
		if id != "" {
			o.ID = azidentity.ClientID(id)
		}
		return azidentity.NewManagedIdentityCredential(o)
	}})
	if _, err := exec.LookPath("az"); err == nil {
		out = append(out, source{name: "the Azure CLI", limit: 15 * time.Second, make: func() (azcore.TokenCredential, error) {
			return azidentity.NewAzureCLICredential(nil)
		}})
	}
	return out
}

// managedIdentity says whether something gives out managed identities here: a
// platform that announces it in the environment (App Service, Azure Arc), or the
// instance metadata service.
// https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
func managedIdentity(env map[string]string, t policy.Transporter, hurry <-chan struct{}) func(context.Context) bool {
	if t == nil {
		t = http.DefaultClient
	}
	return func(ctx context.Context) bool {
		if env["IDENTITY_ENDPOINT"] != "" || env["MSI_ENDPOINT"] != "" {
			return true
		}
		ctx, cancel := context.WithTimeout(ctx, imdsPresence)
		defer cancel()
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-hurry:
				cancel()
			case <-done:
			}
		}()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://169.254.169.254/metadata/versions", nil)
		if err != nil {
			return false
		}
		req.Header.Set("Metadata", "true")
		resp, err := t.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
}

func environment(list []string) map[string]string {
	out := map[string]string{}
	for _, kv := range list {
		if k, v, ok := strings.Cut(kv, "="); ok {
			out[k] = v
		}
	}
	return out
}
