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
	if rest, ok := cutFold(req.path, "/providers/"); ok {
		return h.tenantLevel(req, rest)
	}
	id, collection, err := parsePath(req.path)
	if err != nil {
		// /subscriptions/{s}/resources and the like are not resource ids.
		if base, last, ok := cutLast(req.path); ok {
			scope, err := ParseID(base)
			switch {
			case err != nil || scope.Namespace != "":
			case strings.EqualFold(last, "resources"):
				return h.listResources(req, scope)
			case strings.EqualFold(last, "locations"):
				return h.listLocations(req, scope)
			}
		}
		return reply{}, errorf(http.StatusBadRequest, "InvalidResourceId", "%s.", err)
	}
	if err := h.version(req, id, collection); err != nil {
		return reply{}, err
	}
	switch {
	case collection == "":
		return h.one(req, id)
	case id.Namespace == "" && strings.EqualFold(collection, "resourceGroups"):
		return h.listGroups(req, id)
	case id.Namespace == "" && strings.EqualFold(collection, "providers"):
		return h.listProviders(req, id)
	case len(id.Types) == 0 && id.ResourceGroup == "" && req.Method == http.MethodPost && isRegistration(collection):
		return h.register(req, id, collection)
	case strings.EqualFold(id.Namespace+"/"+collection, "Microsoft.ContainerRegistry/checkNameAvailability"):
		return h.checkName(req, ID{Subscription: id.Subscription})
	case req.Method == http.MethodPost:
		return h.action(req, id, collection)
	default:
		return h.collection(req, id, collection)
	}
}

// version refuses api-versions that the addressed type does not have.
func (h *handler) version(req *request, id ID, collection string) error {
	switch {
	case id.Namespace == "" && id.ResourceGroup == "" && collection == "":
		return checkOwnVersion(req.version, subscriptionVersion, resourcesVersions)
	case id.Namespace == "", len(id.Types) == 0 && collection == "", len(id.Types) == 0 && isRegistration(collection):
		if id.Namespace != "" && !knownNamespace(id.Namespace) {
			return errorf(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", id.Namespace)
		}
		return checkOwnVersion(req.version, resourcesVersions)
	case isOperation(id):
		return nil
	}
	kind, location := strings.Join(id.Types, "/"), ""
	if collection != "" && req.Method != http.MethodPost {
		kind = strings.Trim(kind+"/"+collection, "/")
	} else if kind == "" {
		kind = collection
	}
	if r, err := h.store.Get(id.String()); err == nil {
		location = r.Location
	}
	return checkVersion(req.version, id.Namespace, kind, location)
}

// one serves a single resource.
func (h *handler) one(req *request, id ID) (reply, error) {
	if isOperation(id) {
		return h.operation(req, id)
	}
	if strings.ToLower(id.Type()) == typeDeployment {
		return h.deployment(req, id)
	}
	header := versionsHeader(id)
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		v := view{h.store.data(), req.version}
		if err := h.permit(v.data, req, action(id, req.Method), id); err != nil {
			return reply{}, err
		}
		r, err := v.get(id)
		if err != nil {
			if d, ok := builtInResource(id); ok {
				return reply{status: http.StatusOK, body: d}, nil
			}
			return reply{}, v.missingGroup(id, err)
		}
		if req.Method == http.MethodHead {
			return reply{status: http.StatusNoContent, header: header}, nil
		}
		return reply{status: http.StatusOK, body: req.expanded(v, v.shown(r)), header: header}, nil
	case http.MethodPut:
		return h.putOne(req, id, header)
	case http.MethodPatch:
		return h.patchOne(req, id, header)
	case http.MethodDelete:
		existed, location := false, ""
		err := h.mutate(req, id, func(d *data, w *write) (err error) {
			if r, err := d.get(id); err == nil {
				location = r.Location
			}
			w.root = id
			existed, err = d.delete(w)
			return err
		})
		if err != nil {
			return reply{}, err
		}
		if !existed {
			return reply{status: http.StatusNoContent}, nil
		}
		return h.begin(req, id, location, reply{status: http.StatusOK, header: header}), nil
	default:
		return reply{}, methodNotAllowed(req)
	}
}

// mutate carries out one write in ARM's order: rights, registration, locks,
// conditions; then f.
func (h *handler) mutate(req *request, id ID, f func(d *data, w *write) error) error {
	return h.store.change(func(d *data) error {
		permit := func(action string, scope ID) error { return h.permit(d, req, action, scope) }
		if err := permit(action(id, req.Method), id); err != nil {
			return err
		}
		if !d.hasSubscription(id.Subscription) {
			return notFound(ID{Subscription: id.Subscription})
		}
		_, missing := d.get(id)
		if req.Method == http.MethodPut {
			if group := (ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}); id.ResourceGroup != "" && len(id.Types) > 0 {
				if _, err := d.get(group); err != nil {
					return err
				}
			}
			if id.Extends != "" {
				if at, err := parse(id.Extends); err != nil {
					return err
				} else if _, err := d.get(at); err != nil {
					return err
				}
			}
			if missing != nil {
				if err := d.unregistered(id); err != nil {
					return err
				}
			}
		}
		if missing == nil || req.Method == http.MethodPut {
			if err := d.locked(id, req.Method); err != nil {
				return err
			}
		}
		if err := d.precondition(req, id); err != nil {
			return err
		}
		return f(d, &write{data: d, id: id, strict: true, caller: req.caller, permit: permit})
	})
}

func (h *handler) putOne(req *request, id ID, header map[string]string) (reply, error) {
	raw, err := req.read()
	if err != nil {
		return reply{}, err
	}
	stored, made, err := h.putResource(req, id, raw)
	if err != nil {
		return reply{}, err
	}
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	v := view{h.store.data(), req.version}
	return h.begin(req, id, stored.Location, reply{status: status, body: v.shown(stored), header: header}), nil
}

func (h *handler) putResource(req *request, id ID, raw []byte) (stored Resource, made bool, err error) {
	var r Resource
	if err := json.Unmarshal(raw, &r); err != nil {
		return Resource{}, false, invalidContent(err)
	}
	if r.Name != "" && !strings.EqualFold(r.Name, id.Name()) {
		return Resource{}, false, badRequest("InvalidResourceName", "The name '%s' in the request content is not the name '%s' in the URL.", r.Name, id.Name())
	}
	if len(id.Types) == 0 && (id.Namespace != "" || id.ResourceGroup == "") {
		return Resource{}, false, methodNotAllowed(req)
	}
	r.ID = id.String()
	if _, r, err = normal(r); err != nil {
		return Resource{}, false, invalidContent(err)
	}
	r.Location = normalLocation(r.Location)
	err = h.mutate(req, id, func(d *data, w *write) (err error) {
		w.next = r
		old, missing := d.get(id)
		if err := placed(w, old, missing == nil); err != nil {
			return err
		}
		stored, made, err = d.put(w)
		return err
	})
	return stored, made, err
}

// placed checks and completes what all types have in common.
func placed(w *write, old Resource, exists bool) error {
	r := &w.next
	if exists && r.Location == "" {
		r.Location = old.Location
	}
	if exists && old.Location != "" && normalLocation(old.Location) != r.Location {
		return errorf(http.StatusConflict, "InvalidResourceLocation",
			"The resource '%s' already exists in location '%s' in resource group '%s'. A resource with the same name cannot be created in location '%s'. Please select a new resource name.",
			w.id.Name(), old.Location, w.id.ResourceGroup, r.Location)
	}
	top := len(w.id.Types) == 1 && w.id.Extends == "" && !strings.EqualFold(w.id.Namespace, "Microsoft.Authorization") || w.id.Namespace == ""
	if top && r.Location == "" && strings.ToLower(w.id.Type()) != typeZone {
		return badRequest("LocationRequired", "The location property is required for this definition.")
	}
	if w.id.Namespace == "" {
		p, err := w.properties()
		if err != nil {
			return invalidContent(err)
		}
		p["provisioningState"] = "Succeeded"
		return w.setProperties(p)
	}
	return nil
}

// tagsOnly are the types whose PATCH takes tags and nothing else (UpdateTags
// of Microsoft.Network).
func tagsOnly(id ID) bool {
	return strings.EqualFold(id.Namespace, "Microsoft.Network") && len(id.Types) == 1 && strings.ToLower(id.Type()) != typeZone
}

func (h *handler) patchOne(req *request, id ID, header map[string]string) (reply, error) {
	raw, err := req.read()
	if err != nil {
		return reply{}, err
	}
	if tagsOnly(id) {
		var in struct {
			Tags       map[string]string `json:"tags"`
			Properties json.RawMessage   `json:"properties"`
		}
		if err := json.Unmarshal(raw, &in); err != nil {
			return reply{}, invalidContent(err)
		}
		if len(in.Properties) > 0 {
			return reply{}, badRequest("InvalidRequestFormat", "Cannot parse the request. PATCH of %s takes tags alone; properties are changed by PUT.", id.Type())
		}
		if raw, err = json.Marshal(map[string]any{"tags": in.Tags}); err != nil {
			return reply{}, invalidContent(err)
		}
	}
	var stored Resource
	err = h.mutate(req, id, func(d *data, w *write) (err error) {
		if w.next, err = d.patched(id, raw); err != nil {
			return d.missingGroup(id, err)
		}
		old, missing := d.get(id)
		if err := placed(w, old, missing == nil); err != nil {
			return err
		}
		stored, _, err = d.put(w)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	v := view{h.store.data(), req.version}
	return h.begin(req, id, stored.Location, reply{status: http.StatusOK, body: v.shown(stored), header: header}), nil
}

// expanded carries out $expand.
func (req *request) expanded(v view, shown any) any {
	for _, path := range strings.Split(req.URL.Query().Get("$expand"), ",") {
		if path = strings.TrimSpace(path); path != "" {
			shown = v.expand(shown, strings.Split(path, "/"))
		}
	}
	return shown
}

// precondition evaluates If-Match and If-None-Match: * (RFC 9110 section 13.1).
func (d *data) precondition(req *request, id ID) error {
	etag := d.etag(id)
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
	v := view{h.store.data(), req.version}
	if err := h.permit(v.data, req, full+"/read", id); err != nil {
		return reply{}, err
	}
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	value, err := v.listed(req, id, kind, full)
	if err != nil {
		return reply{}, err
	}
	body, err := req.paged(value)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: body, header: versionsHeader(id)}, nil
}

func (v view) listed(req *request, id ID, kind, full string) ([]any, error) {
	var list []Resource
	switch {
	case len(id.Types) > 0:
		r, err := v.get(id)
		if err != nil {
			return nil, v.missingGroup(id, err)
		}
		switch {
		case strings.ToLower(id.Type()) == typeRegistry && strings.EqualFold(kind, "privateLinkResources"):
			return v.privateLinkResources(r), nil
		case strings.ToLower(id.Type()) == typeRegistry && strings.EqualFold(kind, "listUsages"):
			return v.usages(r), nil
		case strings.ToLower(id.Type()) == typeSecurityGroup && strings.EqualFold(kind, "defaultSecurityRules"):
			return defaultSecurityRules(id), nil
		case strings.ToLower(id.Type()) == typeZone && (strings.EqualFold(kind, "ALL") || strings.EqualFold(kind, "SOA")):
			soa, _ := v.soa(id)
			if list = []Resource{soa}; strings.EqualFold(kind, "ALL") {
				list = append(v.children(id, "A"), soa)
			}
		default:
			list = v.children(id, kind)
		}
	default:
		scope, err := parse(id.scope())
		if err != nil {
			return nil, err
		}
		if _, err := v.get(scope); err != nil {
			return nil, err
		}
		if built, ok := v.builtIn(req, id, kind); ok {
			return built, nil
		}
		list = within(v.ofType(full), scope)
		if strings.EqualFold(id.Namespace, "Microsoft.Authorization") {
			if list, err = v.assigned(req, full, scope, list); err != nil {
				return nil, err
			}
		}
	}
	value := []any{}
	for _, r := range list {
		value = append(value, req.expanded(v, v.shown(r)))
	}
	return value, nil
}

// within keeps what is in scope, a subscription or resource group.
func within(list []Resource, scope ID) []Resource {
	prefix := scope.Key() + "/"
	return slices.DeleteFunc(list, func(r Resource) bool { return !strings.HasPrefix(strings.ToLower(r.ID), prefix) })
}

// missingGroup replaces the 404 for a resource by the one for its group if
// that does not exist either.
func (d *data) missingGroup(id ID, err error) error {
	if id.ResourceGroup == "" {
		return err
	}
	group := ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}
	if !d.hasSubscription(id.Subscription) {
		return notFound(ID{Subscription: id.Subscription})
	}
	if _, gerr := d.get(group); gerr != nil {
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
	return map[string]string{"api-supported-versions": strings.Join(p.versionsOf("registries"), ", ")}
}

func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
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
