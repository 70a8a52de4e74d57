package imds

import (
	"cmp"
	"crypto/sha1"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/acrlab/acrlab/fakes/web"
)

type object = map[string]any

// instance answers /metadata/instance and every path below it. Objects are
// JSON; a leaf is text and must be asked for as such.
// https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service#usage
func (h *handler) instance(w http.ResponseWriter, r *http.Request, m Machine, below string) {
	if !checkVersion(w, r) {
		return
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	var at any = describe(m, from.Addr().Unmap().String())
	for step := range strings.SplitSeq(strings.Trim(below, "/"), "/") {
		if step == "" {
			continue
		}
		next, ok := child(at, step)
		if !ok {
			refuse(w, http.StatusNotFound, false, "Not found", "")
			return
		}
		at = next
	}
	format := cmp.Or(strings.ToLower(r.URL.Query().Get("format")), "json")
	text, leaf := at.(string)
	switch {
	case format != "json" && format != "text":
		refuse(w, http.StatusBadRequest, false, "", "format is invalid; json and text are supported")
	case leaf && format == "json":
		// Azure: "Bad request. Use format=text for leaf nodes".
		refuse(w, http.StatusBadRequest, false, "", "Requested path is a leaf node; use format=text")
	case leaf || format == "text":
		if !leaf {
			text = listing(at)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(text))
	default:
		web.WriteJSON(w, http.StatusOK, at)
	}
}

func child(at any, step string) (any, bool) {
	switch x := at.(type) {
	case object:
		for k, v := range x {
			if strings.EqualFold(k, step) {
				return v, true
			}
		}
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(x) {
			return x[i], true
		}
	}
	return nil, false
}

// listing names what lies below a node, one line each.
func listing(at any) string {
	var lines []string
	switch x := at.(type) {
	case object:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			if _, leaf := x[k].(string); !leaf {
				k += "/"
			}
			lines = append(lines, k)
		}
	case []any:
		for i := range x {
			lines = append(lines, strconv.Itoa(i)+"/")
		}
	}
	return strings.Join(lines, "\n")
}

// describe is the document of a machine. Keys that it has no value for are
// there and empty, as in Azure.
func describe(m Machine, address string) object {
	prefix, bits := m.Subnet, ""
	if p, err := netip.ParsePrefix(m.Subnet); err == nil {
		prefix, bits = p.Masked().Addr().String(), strconv.Itoa(p.Bits())
	}
	var tags []string
	list := []any{}
	for _, k := range slices.Sorted(maps.Keys(m.Tags)) {
		tags = append(tags, k+":"+m.Tags[k])
		list = append(list, object{"name": k, "value": m.Tags[k]})
	}
	return object{
		"compute": object{
			"azEnvironment": "AzurePublicCloud", "customData": "", "evictionPolicy": "", "isHostCompatibilityLayerVm": "false",
			"location": m.Location, "name": m.Name, "offer": "", "osType": cmp.Or(m.OSType, "Linux"), "placementGroupId": "",
			"platformFaultDomain": "0", "platformUpdateDomain": "0", "priority": "", "provider": "Microsoft.Compute", "publisher": "",
			"resourceGroupName": m.ResourceGroup, "resourceId": m.ResourceID, "sku": "", "subscriptionId": m.Subscription,
			"tags": strings.Join(tags, ";"), "tagsList": list, "userData": "", "version": "", "vmId": m.VMID,
			"vmScaleSetName": "", "vmSize": m.Size, "zone": "",
			"osProfile": object{"adminUsername": "azureuser", "computerName": m.Name, "disablePasswordAuthentication": "true"},
		},
		"network": object{"interface": []any{object{
			"ipv4": object{
				"ipAddress": []any{object{"privateIpAddress": address, "publicIpAddress": m.PublicAddress}},
				"subnet":    []any{object{"address": prefix, "prefix": bits}},
			},
			"ipv6":       object{"ipAddress": []any{}},
			"macAddress": mac(m.VMID),
		}}},
	}
}

// mac is an address in Microsoft's range, the same in every run.
func mac(vmID string) string {
	sum := sha1.Sum([]byte(vmID))
	return fmt.Sprintf("000D3A%02X%02X%02X", sum[0], sum[1], sum[2])
}
