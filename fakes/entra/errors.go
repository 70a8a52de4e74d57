package entra

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/acrlab/acrlab/fakes/web"
)

// failure is an error answer (RFC 6749 section 5.2) with Entra's own code.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
type failure struct {
	status int
	code   string // of OAuth
	aadsts int
	text   string
}

func fail(status int, code string, aadsts int, format string, args ...any) *failure {
	return &failure{status, code, aadsts, fmt.Sprintf(format, args...)}
}

func tenantNotFound(tenant string) *failure {
	return fail(http.StatusBadRequest, "invalid_request", 90002,
		"Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", tenant)
}

func invalidSecret(app string) *failure {
	return fail(http.StatusUnauthorized, "invalid_client", 7000215,
		"Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", app)
}

func unknownApplication(app, tenant string) *failure {
	return fail(http.StatusBadRequest, "unauthorized_client", 700016,
		"Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", app, tenant)
}

func missing(parameter string) *failure {
	return fail(http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: '%s'.", parameter)
}

func (f *failure) write(w http.ResponseWriter, correlation string) {
	trace, now := uuid.NewString(), time.Now().UTC().Format("2006-01-02 15:04:05Z")
	web.WriteJSON(w, f.status, map[string]any{
		"error": f.code,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			f.aadsts, strings.TrimSpace(f.text), trace, correlation, now),
		"error_codes": []int{f.aadsts}, "timestamp": now, "trace_id": trace, "correlation_id": correlation,
		"error_uri": fmt.Sprintf("https://%s/error?code=%d", Host, f.aadsts),
	})
}
