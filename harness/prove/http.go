package prove

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"

	"github.com/acrlab/acrlab/harness/prove/sentence"
)

// deniedAddress is the client's address in the registry's refusal: "client with
// IP '203.0.113.10' is not allowed access. Refer https://aka.ms/acr/firewall to
// grant access." (support article client-ip-address-not-allowed-access)
var deniedAddress = regexp.MustCompile(`client with IP '([0-9A-Fa-f.:]+)' is not allowed access`)

// answers checks GET https://NAME/v2/, made without proxy and credentials.
func (e eye) answers(ctx context.Context, s sentence.Sentence) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(e.world.Trust(e.host.Name))
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return e.dial(ctx, s.Name, 443) },
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DisableKeepAlives: true,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.Name+"/v2/", nil)
	if err != nil {
		return fmt.Errorf("making a request to %s: %w", s.Name, err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("GET https://%s/v2/ from %s: %w", s.Name, e.host.Name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the answer of https://%s/v2/: %w", s.Name, err)
	}
	code, message := registryError(body)
	got := fmt.Errorf("https://%s/v2/ answered %d %s %s", s.Name, resp.StatusCode, code, message)
	if resp.StatusCode != s.Status || s.Denied && code != "DENIED" {
		return got
	}
	if s.Address.IsValid() {
		m := deniedAddress.FindStringSubmatch(message)
		if m == nil {
			return got
		}
		if a, err := netip.ParseAddr(m[1]); err != nil || a != s.Address {
			return got
		}
	}
	return nil
}

// registryError is the first error of an answer in the form of the OCI
// distribution specification, "Error Codes"; empty when it has another form.
func registryError(body []byte) (code, message string) {
	var e struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(body, &e); err != nil || len(e.Errors) == 0 {
		return "", ""
	}
	return e.Errors[0].Code, e.Errors[0].Message
}
