// Package arm reads an inventory from Azure Resource Manager. It only reads:
// GET requests, api-versions of package inventory.
//
// It knows ARM's JSON and how a token is had. How management.azure.com is
// reached (resolver, proxy) is the caller's, who gives the transport.
package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Options say how Azure is reached. The zero value is the public cloud by the
// default transport and the credentials of the process's environment.
type Options struct {
	// Transport carries every request, those for tokens too. An *http.Client
	// is one. Nil: azcore's default.
	Transport policy.Transporter
	// Hurry, once closed, ends the wait for a metadata service that has not
	// shown itself yet. Nil: it gets its full time.
	Hurry <-chan struct{}
	// Credential gives tokens; nil: [FindCredential].
	Credential azcore.TokenCredential
	// Environ is searched for credentials and AZURE_SUBSCRIPTION_ID, as
	// "KEY=value".
	Environ []string
	// Cloud defaults to the one of the registry's suffix.
	Cloud *cloud.Configuration
	// Subscription narrows the reads to one.
	Subscription string
	// Timeout bounds the whole reading. Default 20 seconds.
	Timeout time.Duration
	// Parallel bounds the requests in flight. Default 8.
	Parallel int
}

// CloudOf is the cloud that a login server's suffix belongs to.
func CloudOf(loginServer string) cloud.Configuration {
	switch {
	case strings.HasSuffix(loginServer, ".azurecr.us"):
		return cloud.AzureGovernment
	case strings.HasSuffix(loginServer, ".azurecr.cn"):
		return cloud.AzureChina
	}
	return cloud.AzurePublic
}

// client makes GET requests.
type client struct {
	endpoint string
	pipeline runtime.Pipeline
	// slots bounds the requests in flight.
	slots chan struct{}
}

func newClient(cred azcore.TokenCredential, c cloud.Configuration, o Options) (*client, error) {
	opts := &azarm.ClientOptions{
		ClientOptions: policy.ClientOptions{
			Cloud: c, Transport: o.Transport,
			Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second},
			Telemetry: policy.TelemetryOptions{ApplicationID: "acrlab"},
		},
		DisableRPRegistration: true, // it would write
	}
	made, err := azarm.NewClient("acrlab", "v1.0.0", cred, opts)
	if err != nil {
		return nil, fmt.Errorf("making a client for Azure Resource Manager: %w", err)
	}
	n := o.Parallel
	if n <= 0 {
		n = 8
	}
	return &client{endpoint: strings.TrimSuffix(made.Endpoint(), "/"), pipeline: made.Pipeline(), slots: make(chan struct{}, n)}, nil
}

// get reads one resource or collection page into out. path starts with "/".
func (c *client) get(ctx context.Context, path, version string, query url.Values, out any) error {
	q := url.Values{"api-version": {version}}
	for k, v := range query {
		q[k] = v
	}
	return c.fetch(ctx, path, c.endpoint+path+"?"+strings.ReplaceAll(q.Encode(), "+", "%20"), out)
}

func (c *client) fetch(ctx context.Context, what, address string, out any) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return fmt.Errorf("reading %s: %w", what, ctx.Err())
	}
	req, err := runtime.NewRequest(ctx, http.MethodGet, address)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	req.Raw().Header.Set("Accept", "application/json")
	resp, err := c.pipeline.Do(req)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, brief(err))
	}
	if !runtime.HasStatusCode(resp, http.StatusOK) {
		return fmt.Errorf("reading %s: %w", what, brief(runtime.NewResponseError(resp)))
	}
	if err := runtime.UnmarshalAsJSON(resp, out); err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}

// maxPages bounds a collection: a server whose nextLink leads in circles must
// not hold the diagnosis.
const maxPages = 50

// list reads a collection over all its pages.
func (c *client) list(ctx context.Context, path, version string, query url.Values) ([]json.RawMessage, error) {
	var page struct {
		Value    []json.RawMessage `json:"value"`
		NextLink string            `json:"nextLink"`
	}
	if err := c.get(ctx, path, version, query, &page); err != nil {
		return nil, err
	}
	all := page.Value
	for n := 1; page.NextLink != ""; n++ {
		if n >= maxPages {
			return all, fmt.Errorf("reading %s: more than %d pages", path, maxPages)
		}
		next := page.NextLink
		// The token goes nowhere but to the endpoint it is meant for.
		if u, err := url.Parse(next); err != nil || !strings.HasPrefix(next, c.endpoint+"/") || u.User != nil {
			return all, fmt.Errorf("reading %s: nextLink leads elsewhere", path)
		}
		page.Value, page.NextLink = nil, ""
		if err := c.fetch(ctx, path, next, &page); err != nil {
			return all, err
		}
		all = append(all, page.Value...)
	}
	return all, nil
}

// missing says that the resource does not exist.
func missing(err error) bool {
	var e *statusError
	return errors.As(err, &e) && e.status == http.StatusNotFound
}

// statusError is an ARM error on one line.
type statusError struct {
	status int
	code   string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d %s", e.status, e.code) }

// brief shortens azcore's errors of several lines, which quote the whole answer.
func brief(err error) error {
	var e *azcore.ResponseError
	if errors.As(err, &e) {
		code := e.ErrorCode
		if code == "" {
			code = http.StatusText(e.StatusCode)
		}
		return &statusError{e.StatusCode, code}
	}
	var a *azidentity.AuthenticationFailedError
	if errors.As(err, &a) && a.RawResponse != nil {
		return fmt.Errorf("signing in was refused with %s", a.RawResponse.Status)
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	first, _, _ = strings.Cut(first, " To troubleshoot, visit")
	if first != err.Error() {
		return errors.New(strings.TrimSpace(first))
	}
	return err
}
