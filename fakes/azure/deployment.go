package azure

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// Deployments of ARM templates to a resource group, in incremental mode. They
// are carried out resource by resource with the caller's rights; what was made
// before an error stays, as on Azure.
// https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax

type deploymentBody struct {
	Properties struct {
		Mode       string          `json:"mode"`
		Template   json.RawMessage `json:"template"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"properties"`
}

func (h *handler) deployment(req *request, id ID) (reply, error) {
	switch {
	case id.ResourceGroup == "" || id.Extends != "":
		return reply{}, badRequest("InvalidDeploymentScope", "acrlab deploys templates to resource groups, not to '%s'.", id.scope())
	case req.Method == http.MethodPut:
		return h.deploy(req, id)
	case req.Method == http.MethodGet, req.Method == http.MethodHead, req.Method == http.MethodDelete:
	default:
		return reply{}, methodNotAllowed(req)
	}
	v := view{h.store.data(), req.version}
	if err := h.permit(v.data, req, action(id, req.Method), id); err != nil {
		return reply{}, err
	}
	r, err := v.get(id)
	if req.Method == http.MethodDelete {
		if err != nil {
			return reply{status: http.StatusNoContent}, nil
		}
		err = h.mutate(req, id, func(d *data, w *write) error { w.root = id; _, err := d.delete(w); return err })
		return reply{status: http.StatusNoContent}, err
	}
	if err != nil {
		e := errorf(http.StatusNotFound, "DeploymentNotFound", "Deployment '%s' could not be found.", id.Name())
		return reply{}, v.missingGroup(id, e)
	}
	return reply{status: http.StatusOK, body: v.shown(r)}, nil
}

// planned reads a deployment's template and works out its resources.
func (h *handler) planned(req *request, id ID) (*template, error) {
	raw, err := req.read()
	if err != nil {
		return nil, err
	}
	var in deploymentBody
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, invalidContent(err)
	}
	if m := in.Properties.Mode; m != "" && !strings.EqualFold(m, "Incremental") {
		return nil, badRequest("InvalidDeploymentMode", "acrlab carries out deployments of mode 'Incremental', not '%s'.", m)
	}
	d := h.store.data()
	group, err := d.get(ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup})
	if err != nil {
		return nil, d.missingGroup(id, err)
	}
	t, err := newTemplate(d, id, group, in.Properties.Template, in.Properties.Parameters)
	if err != nil {
		return nil, invalidTemplate(err)
	}
	return t, nil
}

func invalidTemplate(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return badRequest("InvalidTemplate", "Deployment template validation failed: '%s'.", err)
}

func (h *handler) validateDeployment(req *request, id ID) (reply, error) {
	if err := h.permit(h.store.data(), req, "Microsoft.Resources/deployments/validate/action", id); err != nil {
		return reply{}, err
	}
	t, err := h.planned(req, id)
	if err != nil {
		return reply{}, err
	}
	for _, r := range t.resources {
		if err := checkVersion(r.version, r.id.Namespace, strings.Join(r.id.Types, "/"), ""); err != nil {
			return reply{}, err
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"id": id.String(), "name": id.Name(), "type": "Microsoft.Resources/deployments",
		"properties": map[string]any{"mode": "Incremental", "provisioningState": "Succeeded", "timestamp": created, "validatedResources": t.references()}}}, nil
}

func (h *handler) deploy(req *request, id ID) (reply, error) {
	if err := h.permit(h.store.data(), req, action(id, http.MethodPut), id); err != nil {
		return reply{}, err
	}
	t, err := h.planned(req, id)
	if err != nil {
		return reply{}, err
	}
	props := bag{"mode": "Incremental", "provisioningState": "Succeeded", "timestamp": created, "parameters": t.shownParameters(), "outputs": map[string]any{}}
	failed := h.deployResources(req, t)
	if failed == nil {
		var outputs map[string]any
		if outputs, failed = t.outputs(h.store.data()); failed == nil {
			props["outputs"] = outputs
		}
	}
	if failed != nil {
		e, ok := errors.AsType[*Error](invalidTemplate(failed))
		if !ok {
			return reply{}, failed
		}
		props["provisioningState"] = "Failed"
		props["error"] = map[string]any{"code": "DeploymentFailed", "target": id.String(),
			"message": "At least one resource deployment operation failed. Please list deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details.",
			"details": []any{map[string]any{"code": e.Code, "message": e.Message, "target": e.Target}}}
	}
	props["outputResources"] = t.references()
	raw, err := marshal(props)
	if err != nil {
		return reply{}, err
	}
	r := Resource{ID: id.String(), Name: id.Name(), Type: id.Type(), Properties: raw}
	made := false
	if err := h.mutate(req, id, func(d *data, w *write) (err error) {
		w.next = r
		_, made, err = d.put(w)
		return err
	}); err != nil {
		return reply{}, err
	}
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	return reply{status: status, body: view{h.store.data(), req.version}.shown(r)}, nil
}

func (h *handler) deployResources(req *request, t *template) error {
	for _, r := range t.resources {
		if err := checkVersion(r.version, r.id.Namespace, strings.Join(r.id.Types, "/"), ""); err != nil {
			return err
		}
		body, err := t.body(h.store.data(), r)
		if err != nil {
			return err
		}
		sub := *req
		inner := *req.Request
		inner.Method, inner.Header = http.MethodPut, http.Header{}
		sub.Request, sub.path, sub.version = &inner, r.id.String(), r.version
		if _, _, err := h.putResource(&sub, r.id, body); err != nil {
			return err
		}
	}
	return nil
}
