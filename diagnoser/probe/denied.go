package probe

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
)

// clientIP finds the address in the text by which a registry refuses one. The
// quotation marks are plain, escaped as JSON, or absent; the sentence after it
// has changed over the years.
var clientIP = regexp.MustCompile(`(?i)client with IP\s*(?:'|"|\\u0027|&#39;|\\+['"])?\s*([0-9a-fA-F:.]+)`)

// registryErrors is the body of an error by the OCI distribution
// specification, "Error Codes".
type registryErrors struct {
	Errors []struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	} `json:"errors"`
}

func parseErrors(body []byte) (registryErrors, bool) {
	var e registryErrors
	if i := strings.IndexByte(string(body), '{'); i > 0 { // a byte order mark
		body = body[i:]
	}
	if err := json.NewDecoder(strings.NewReader(string(body))).Decode(&e); err != nil {
		return registryErrors{}, false
	}
	return e, len(e.Errors) > 0
}

// parseDenied says whether a 403 was issued by the registry's network rules,
// and for which address. The same text comes for an address outside the rules
// and for public access disabled.
func parseDenied(status int, body []byte) (denied bool, ip netip.Addr) {
	if status != 403 {
		return false, netip.Addr{}
	}
	e, ok := parseErrors(body)
	if !ok {
		return false, netip.Addr{}
	}
	for _, e := range e.Errors {
		m := clientIP.FindStringSubmatch(e.Message)
		if m == nil {
			continue
		}
		// An address at the end of a sentence has its full stop with it.
		if a, err := netip.ParseAddr(strings.TrimRight(m[1], ".:")); err == nil {
			return true, a.Unmap()
		}
		if a, err := netip.ParseAddr(m[1]); err == nil {
			return true, a.Unmap()
		}
	}
	for _, e := range e.Errors {
		if strings.EqualFold(e.Code, "DENIED") && strings.Contains(e.Message, "not allowed access") {
			return true, netip.Addr{}
		}
	}
	return false, netip.Addr{}
}

// answeredBy says who wrote an answer. A status alone proves nothing: captive
// portals answer 200 and filters 403.
func answeredBy(a *answered) AnswerKind {
	if a == nil || a.Status == 0 {
		return NotAnswering
	}
	if a.header.Get("X-Ms-Error-Code") != "" || strings.HasPrefix(a.header.Get("Server"), "Windows-Azure-Blob") ||
		storageError.Match(a.full) {
		return ByStorage
	}
	if a.header.Get("Docker-Distribution-Api-Version") != "" || strings.EqualFold(a.header.Get("Server"), "AzureContainerRegistry") {
		return ByRegistry
	}
	if _, ok := parseErrors(a.full); ok {
		return ByRegistry
	}
	for _, c := range parseChallenges(strings.Join(a.header.Values("Www-Authenticate"), ", ")) {
		if strings.EqualFold(c.scheme, "Bearer") && c.params["realm"] != "" && c.params["service"] != "" {
			return ByRegistry
		}
	}
	return ByOther
}

// storageError is an error of Azure Storage.
// https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
var storageError = regexp.MustCompile(`(?s)^\x{FEFF}?\s*(?:<\?xml[^>]*\?>)?\s*<Error>\s*<Code>`)
