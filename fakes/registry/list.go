package registry

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// catalogPage is how many repositories an answer lists when the request names
// no number: https://learn.microsoft.com/rest/api/containerregistry/repository/get-list
const catalogPage = 100

// page is one part of a sorted list, after the name in the parameter "last".
// limit 0 means all; next is empty on the final page.
func page(all []string, query url.Values, limit int) (part []string, next url.Values, bad *apiError) {
	if s := query.Get("n"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, nil, &apiError{status: http.StatusBadRequest, code: "PAGINATION_NUMBER_INVALID", message: "invalid number of results requested"}
		}
		if n == 0 {
			return []string{}, nil, nil
		}
		limit = n
	}
	if last := query.Get("last"); last != "" {
		i, found := slices.BinarySearch(all, last)
		if found {
			i++
		}
		all = all[i:]
	}
	if limit > 0 && len(all) > limit {
		all = all[:limit]
		next = url.Values{"last": {all[limit-1]}, "n": {strconv.Itoa(limit)}}
	}
	return append([]string{}, all...), next, nil
}

// link announces the next page: RFC 8288.
func link(w http.ResponseWriter, path string, next url.Values) {
	if next != nil {
		w.Header().Set("Link", "<"+path+"?"+next.Encode()+`>; rel="next"`)
	}
}

func (h *handler) serveTags(w http.ResponseWriter, r *request, rt route) *apiError {
	all, known := h.reg.store.tags(rt.name)
	if !known {
		return errNameUnknown(rt.name)
	}
	tags, next, bad := page(all, r.URL.Query(), 0)
	if bad != nil {
		return bad
	}
	link(w, r.URL.Path, next)
	writeValue(w, http.StatusOK, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{rt.name, tags})
	return nil
}

func (h *handler) serveCatalog(w http.ResponseWriter, r *request) *apiError {
	names, next, bad := page(h.reg.store.catalog(), r.URL.Query(), catalogPage)
	if bad != nil {
		return bad
	}
	link(w, r.URL.Path, next)
	writeValue(w, http.StatusOK, map[string][]string{"repositories": names})
	return nil
}
