package azure

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func (h *handler) route(req *request) (reply, error) {
	switch {
	case strings.EqualFold(req.path, "/subscriptions"):
		return h.listSubscriptions(req)
	case strings.EqualFold(req.path, "/tenants"):
		return h.listTenants(req)
	}
	id, collection, err := parsePath(req.path)
	if err != nil {
		// /subscriptions/{s}/resources and the like are not resource ids.
		if base, last, ok := cutLast(req.path); ok && strings.EqualFold(last, "resources") {
			if scope, err := ParseID(base); err == nil && scope.Namespace == "" {
				return h.listResources(req, scope)
			}
		}
		return reply{}, errorf(http.StatusBadRequest, "InvalidResourceId", "%s.", err)
	}
	switch {
	case collection == "":
		return h.one(req, id)
	case id.Namespace == "" && strings.EqualFold(collection, "resourceGroups"):
		return h.listGroups(req, id)
	case id.Namespace == "" && strings.EqualFold(collection, "providers"):
		return h.listProviders(req, id)
	case id.Namespace == "" || !knownNamespace(id.Namespace):
		return reply{}, errorf(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", id.Namespace)
	case len(id.Types) == 0 && id.ResourceGroup == "" && req.Method == http.MethodPost && isRegistration(collection):
		return h.register(req, id, collection)
	case strings.EqualFold(id.Namespace+"/"+collection, "Microsoft.ContainerRegistry/checkNameAvailability"):
		return h.checkName(req, ID{Subscription: id.Subscription})
	default:
		return h.collection(req, id, collection)
	}
}

// one serves a single resource.
func (h *handler) one(req *request, id ID) (reply, error) {
	if id.Namespace != "" && !knownNamespace(id.Namespace) {
		return reply{}, errorf(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", id.Namespace)
	}
	if err := req.permit(action(id, req.Method), id); err != nil {
		return reply{}, err
	}
	header := versionsHeader(id)
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		r, err := h.store.Get(id.String())
		if err != nil {
			return reply{}, h.missingGroup(id, err)
		}
		return reply{status: http.StatusOK, body: h.shown(r, req.version), header: header}, nil
	case http.MethodPut:
		return h.putOne(req, id, header)
	case http.MethodPatch:
		raw, err := req.read()
		if err != nil {
			return reply{}, err
		}
		if err := h.precondition(req, id); err != nil {
			return reply{}, err
		}
		r, err := h.store.Patch(id.String(), raw)
		if err != nil {
			return reply{}, h.missingGroup(id, err)
		}
		return reply{status: http.StatusOK, body: h.shown(r, req.version), header: header}, nil
	case http.MethodDelete:
		if err := h.precondition(req, id); err != nil {
			return reply{}, err
		}
		existed, err := h.store.Delete(id.String())
		if err != nil {
			return reply{}, err
		}
		if !existed {
			return reply{status: http.StatusNoContent}, nil
		}
		return reply{status: http.StatusOK, header: header}, nil
	default:
		return reply{}, methodNotAllowed(req)
	}
}

func (h *handler) putOne(req *request, id ID, header map[string]string) (reply, error) {
	raw, err := req.read()
	if err != nil {
		return reply{}, err
	}
	var r Resource
	if err := json.Unmarshal(raw, &r); err != nil {
		return reply{}, invalidContent(err)
	}
	if r.Name != "" && !strings.EqualFold(r.Name, id.Name()) {
		return reply{}, errorf(http.StatusBadRequest, "InvalidResourceName",
			"The name '%s' in the request content is not the name '%s' in the URL.", r.Name, id.Name())
	}
	if id.ResourceGroup != "" && len(id.Types) > 0 {
		group := ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}
		if _, err := h.store.Get(group.String()); err != nil {
			return reply{}, err
		}
	}
	if err := h.precondition(req, id); err != nil {
		return reply{}, err
	}
	r.ID = id.String()
	old, oldErr := h.store.Get(r.ID)
	if r.Properties, err = beforePut(id, r.Properties, old.Properties); err != nil {
		return reply{}, invalidContent(err)
	}
	if oldErr == nil && r.Location == "" {
		r.Location = old.Location
	}
	stored, created, err := h.store.Put(r)
	if err != nil {
		return reply{}, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return reply{status: status, body: h.shown(stored, req.version), header: header}, nil
}

// precondition evaluates If-Match and If-None-Match: * (RFC 9110 section 13.1).
func (h *handler) precondition(req *request, id ID) error {
	etag := h.store.ETag(id.String())
	match, none := req.Header.Get("If-Match"), req.Header.Get("If-None-Match")
	switch {
	case match != "" && (etag == "" || match != "*" && strings.Trim(match, `"`) != strings.Trim(etag, `"`) && match != etag),
		none == "*" && etag != "":
		return errorf(http.StatusPreconditionFailed, "PreconditionFailed", "The condition '%s' in the header(s) did not match the current state of '%s'.",
			strings.TrimSpace(match+" "+none), id)
	}
	return nil
}

// collection lists resources of one type.
func (h *handler) collection(req *request, id ID, kind string) (reply, error) {
	full := strings.Join(append(append([]string{id.Namespace}, id.Types...), kind), "/")
	if err := req.permit(full+"/read", id); err != nil {
		return reply{}, err
	}
	if req.Method == http.MethodPost {
		return reply{}, errorf(http.StatusNotFound, "NotFound", "The action '%s' on '%s' is not offered.", kind, id)
	}
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	var list []Resource
	if len(id.Types) > 0 {
		if strings.ToLower(id.Type()) == typeRegistry && strings.EqualFold(kind, "privateLinkResources") {
			r, err := h.store.Get(id.String())
			if err != nil {
				return reply{}, h.missingGroup(id, err)
			}
			return reply{status: http.StatusOK, body: h.privateLinkResources(r), header: versionsHeader(id)}, nil
		}
		all := strings.EqualFold(id.Type(), "Microsoft.Network/privateDnsZones") && strings.EqualFold(kind, "ALL")
		if all {
			kind = "A"
		}
		children, err := h.store.Children(id.String(), kind)
		if err != nil {
			return reply{}, h.missingGroup(id, err)
		}
		list = children
	} else {
		scope := ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}
		if _, err := h.store.Get(scope.String()); err != nil {
			return reply{}, err
		}
		list = within(h.store.List(full), scope)
	}
	value := []any{}
	for _, r := range list {
		value = append(value, h.shown(r, req.version))
	}
	return reply{status: http.StatusOK, body: page(value), header: versionsHeader(id)}, nil
}

// page is a list that fits on one page.
func page(value []any) map[string]any { return map[string]any{"value": value} }

// within keeps what is in scope, a subscription or resource group.
func within(list []Resource, scope ID) []Resource {
	prefix := scope.Key() + "/"
	return slices.DeleteFunc(list, func(r Resource) bool { return !strings.HasPrefix(strings.ToLower(r.ID), prefix) })
}

// missingGroup replaces the 404 for a resource by the one for its group if
// that does not exist either.
func (h *handler) missingGroup(id ID, err error) error {
	if id.ResourceGroup == "" {
		return err
	}
	group := ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}
	if !h.store.hasSub(id.Subscription) {
		return notFound(ID{Subscription: id.Subscription})
	}
	if _, gerr := h.store.Get(group.String()); gerr != nil {
		return gerr
	}
	return err
}

func action(id ID, method string) string {
	verb := map[string]string{http.MethodPut: "write", http.MethodPatch: "write", http.MethodDelete: "delete"}[method]
	if verb == "" {
		verb = "read"
	}
	if id.Namespace == "" {
		t := id.Type()
		if id.ResourceGroup != "" {
			t = "Microsoft.Resources/subscriptions/resourceGroups"
		}
		return t + "/" + verb
	}
	if len(id.Types) == 0 {
		return "Microsoft.Resources/subscriptions/providers/" + verb
	}
	return id.Type() + "/" + verb
}

func methodNotAllowed(req *request) *Error {
	return errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "The http method '%s' is not supported for a resource at '%s'.", req.Method, req.path)
}

// versionsHeader is what the registry's resource provider adds.
func versionsHeader(id ID) map[string]string {
	if !strings.EqualFold(id.Namespace, "Microsoft.ContainerRegistry") {
		return nil
	}
	p, _ := findProvider(id.Namespace)
	return map[string]string{"api-supported-versions": strings.Join(p.Versions, ", ")}
}

func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// filterPattern is the part of OData that clients use on /resources.
var filterPattern = regexp.MustCompile(`(?i)^\s*(resourceType|name|resourceGroup|location)\s+eq\s+'([^']*)'\s*$`)
var filterAnd = regexp.MustCompile(`(?i)\s+and\s+`)

// filter reads "resourceType eq '…' and name eq '…'".
func filter(expr string) (func(Resource) bool, error) {
	type condition struct{ key, value string }
	var conditions []condition
	if strings.TrimSpace(expr) != "" {
		for _, part := range filterAnd.Split(expr, -1) {
			m := filterPattern.FindStringSubmatch(part)
			if m == nil {
				return nil, errorf(http.StatusBadRequest, "InvalidFilterInQueryString", "Invalid $filter '%s' specified in the query string.", expr)
			}
			conditions = append(conditions, condition{strings.ToLower(m[1]), m[2]})
		}
	}
	return func(r Resource) bool {
		id, err := ParseID(r.ID)
		if err != nil {
			return false
		}
		for _, c := range conditions {
			have := map[string]string{"resourcetype": r.Type, "name": r.Name, "resourcegroup": id.ResourceGroup, "location": r.Location}[c.key]
			if !strings.EqualFold(have, c.value) {
				return false
			}
		}
		return true
	}, nil
}
