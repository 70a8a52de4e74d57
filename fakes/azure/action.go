package azure

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// action answers POST {resource}/{action}.
func (h *handler) action(req *request, id ID, name string) (reply, error) {
	type handle func(*request, ID) (reply, error)
	actions := map[string]map[string]handle{
		typeRegistry: {
			"listcredentials":      h.listCredentials,
			"regeneratecredential": h.regenerateCredential,
		},
		typeDeployment: {"validate": h.validateDeployment},
	}
	f, ok := actions[strings.ToLower(id.Type())][strings.ToLower(name)]
	if !ok {
		return reply{}, errorf(http.StatusNotFound, "NotFound", "The action '%s' on '%s' is not offered.", name, id)
	}
	return f(req, id)
}

// generations is the property that counts how often each of the admin user's
// passwords was made anew. It is never shown.
const generations = "acrlab.passwordGenerations"

var passwordNames = []string{"password", "password2"}

// AdminPasswords are those of a registry's admin user: none if it is disabled.
// They depend on the registry and on how often they were regenerated.
func AdminPasswords(registry Resource) []string {
	p, err := bagOf(registry.Properties)
	if err != nil || !p.flag("adminUserEnabled") {
		return nil
	}
	var out []string
	for _, name := range passwordNames {
		n, _ := p.number(generations, name)
		sum := sha256.Sum256([]byte(strings.ToLower(registry.ID) + "/" + name + "/" + strconv.Itoa(n)))
		out = append(out, hex.EncodeToString(sum[:16]))
	}
	return out
}

func credentials(r Resource) (reply, error) {
	list := []any{}
	for i, password := range AdminPasswords(r) {
		list = append(list, map[string]any{"name": passwordNames[i], "value": password})
	}
	if len(list) == 0 {
		return reply{}, badRequest("UnAuthorizedForCredentialOperations", "Cannot perform credential operations for %s as admin user is disabled. Kindly enable admin user as per docs: https://docs.microsoft.com/en-us/azure/container-registry/container-registry-authentication#admin-account", r.ID)
	}
	return reply{status: http.StatusOK, body: map[string]any{"username": r.Name, "passwords": list}}, nil
}

func (h *handler) listCredentials(req *request, id ID) (reply, error) {
	d := h.store.data()
	if err := h.permit(d, req, "Microsoft.ContainerRegistry/registries/listCredentials/action", id); err != nil {
		return reply{}, err
	}
	r, err := d.get(id)
	if err != nil {
		return reply{}, d.missingGroup(id, err)
	}
	if err := d.locked(id, req.Method); err != nil { // a POST is a write to a ReadOnly lock
		return reply{}, err
	}
	return credentials(r)
}

func (h *handler) regenerateCredential(req *request, id ID) (reply, error) {
	raw, err := req.read()
	if err != nil {
		return reply{}, err
	}
	var in struct{ Name string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return reply{}, invalidContent(err)
	}
	if !slices.Contains(passwordNames, in.Name) {
		return reply{}, badRequest("InvalidParameter", "The password name '%s' is invalid. Supported names are password and password2.", in.Name)
	}
	var stored Resource
	err = h.store.change(func(d *data) error {
		if err := h.permit(d, req, "Microsoft.ContainerRegistry/registries/regenerateCredential/action", id); err != nil {
			return err
		}
		if err := d.locked(id, req.Method); err != nil {
			return err
		}
		if _, err := d.get(id); err != nil {
			return d.missingGroup(id, err)
		}
		d.rewrite(id.String(), func(p bag) bool {
			counts := p.bag(generations)
			if counts == nil {
				counts = bag{}
			}
			n, _ := counts.number(in.Name)
			counts[in.Name] = n + 1
			p[generations] = map[string]any(counts)
			return true
		})
		stored = d.resources[id.Key()]
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	return credentials(stored)
}

// usages are the limits of a registry. Sizes are those of the SKU:
// https://learn.microsoft.com/azure/container-registry/container-registry-skus
func (d *data) usages(r Resource) []any {
	p, _ := bagOf(r.Properties)
	usage := func(name, unit string, now, limit int) any {
		return map[string]any{"name": name, "unit": unit, "currentValue": now, "limit": limit}
	}
	rules := p.bag("networkRuleSet")
	return []any{
		usage("IPRules", "Count", len(rules.bags("ipRules")), maxIPRules),
		usage("VNetRules", "Count", len(rules.bags("virtualNetworkRules")), maxSubnetRules),
	}
}
