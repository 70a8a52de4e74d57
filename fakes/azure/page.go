package azure

import (
	"encoding/base64"
	"net/url"
	"strconv"
)

// pageSize is how many entries a list shows at once.
const pageSize = 1000

// page is a whole list.
func page(value []any) map[string]any { return map[string]any{"value": value} }

// paged is the part of a list that $top and $skiptoken ask for, with a link to
// what follows.
func (req *request) paged(value []any) (map[string]any, error) {
	q := req.URL.Query()
	size, from := pageSize, 0
	if top := q.Get("$top"); top != "" {
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 {
			return nil, badRequest("InvalidTopInQueryString", "Invalid $top '%s' specified in the query string.", top)
		}
		size = min(n, pageSize)
	}
	if token := q.Get("$skiptoken"); token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		n, err2 := strconv.Atoi(string(raw))
		if err != nil || err2 != nil || n < 0 {
			return nil, badRequest("InvalidSkipTokenInQueryString", "Invalid $skiptoken '%s' specified in the query string.", token)
		}
		from = min(n, len(value))
	}
	to := min(from+size, len(value))
	out := page(value[from:to:to])
	if to < len(value) {
		q.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to))))
		next := url.URL{Scheme: "https", Host: Host, Path: req.URL.Path, RawQuery: q.Encode()}
		out["nextLink"] = next.String()
	}
	return out, nil
}
