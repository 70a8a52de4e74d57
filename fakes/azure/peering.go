package azure

import (
	"encoding/json"
	"net/netip"
	"strings"
)

// A peering has two sides. The first is Initiated until the other exists, then
// both are Connected; deleting one side, or its network, leaves the other
// Disconnected, and that one must be deleted before it can connect again.
// https://learn.microsoft.com/azure/virtual-network/virtual-network-troubleshoot-peering-issues

func remoteOf(peering bag) string {
	return peering.text("properties", "remoteVirtualNetwork", "id")
}

func checkPeerings(w *write, p, before bag, space []netip.Prefix) error {
	for _, peering := range changedElements(p, before, "virtualNetworkPeerings") {
		name, props := peering.text("name"), peering.bag("properties")
		id := w.id.child("virtualNetworkPeerings", name)
		was := elementNamed(before, "virtualNetworkPeerings", name)
		remote := remoteOf(peering)
		if props == nil || remote == "" {
			return badRequest("InvalidRequestFormat", "Cannot parse the request. The peering %s has no remoteVirtualNetwork.", id)
		}
		r, err := w.requireReference(remote, "Microsoft.Network/virtualNetworks")
		if err != nil {
			return err
		}
		remoteID, _ := ParseID(remote)
		if remoteID.Key() == w.id.Key() {
			return badRequest("CannotPeerVnetToItself", "The virtual network %s cannot be peered with itself.", w.id)
		}
		for _, other := range p.bags("virtualNetworkPeerings") {
			if !strings.EqualFold(other.text("name"), name) && strings.EqualFold(remoteOf(other), remote) {
				return badRequest("AnotherPeeringAlreadyReferencesRemoteVnet",
					"Peering %s cannot be created or updated because there is already another peering %s referencing remote virtual network %s.", id, other.text("name"), remote)
			}
		}
		if was := remoteOf(was); was != "" && !strings.EqualFold(was, remote) {
			return badRequest("ChangingRemoteVirtualNetworkNotAllowed", "The remote virtual network of the peering %s cannot be changed from %s to %s.", id, was, remote)
		}
		rp, _ := bagOf(r.Properties)
		for _, a := range space {
			for _, b := range spaceOf(rp) {
				if a.Overlaps(b) {
					return badRequest("VnetAddressSpacesOverlap", "Cannot create or update peering %s. Virtual networks %s and %s cannot be peered because their address spaces overlap. Overlapping address prefixes: %s, %s", id, w.id, remote, a, b)
				}
			}
		}
		if back := peeringTo(rp, w.id); back != nil && back.text("properties", "peeringState") == "Disconnected" && len(was) == 0 {
			return badRequest("RemotePeeringIsDisconnected",
				"Cannot create or update peering %s because remote peering %s/virtualNetworkPeerings/%s referencing parent virtual network is in Disconnected state. Update or re-create the remote peering to get it back to Initiated state. Peering gets Disconnected when remote vnet or remote peering is deleted and re-created.",
				id, remote, back.text("name"))
		}
		if err := w.linked(remoteID, "Microsoft.Network/virtualNetworks/peer/action"); err != nil {
			return err
		}
		props.fill("allowVirtualNetworkAccess", true)
		props.fill("allowForwardedTraffic", false)
		props.fill("allowGatewayTransit", false)
		props.fill("useRemoteGateways", false)
		props["provisioningState"] = "Succeeded"
		props["remoteAddressSpace"] = rp["addressSpace"]
		props["peeringState"] = was.text("properties", "peeringState") // read-only
	}
	return nil
}

// peeringTo is the entry of a network's peerings that leads to remote.
func peeringTo(network bag, remote ID) bag {
	for _, p := range network.bags("virtualNetworkPeerings") {
		if id, err := ParseID(remoteOf(p)); err == nil && id.Key() == remote.Key() {
			return p
		}
	}
	return nil
}

// syncPeerings sets the states of the peerings that a write to a network made,
// changed or took away, on both sides.
func (w *write) syncPeerings() error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	for _, gone := range goneElements(p, before, "virtualNetworkPeerings") {
		w.setPeering(remoteOf(gone), "Disconnected")
	}
	dirty := false
	for _, peering := range changedElements(p, before, "virtualNetworkPeerings") {
		props := peering.bag("properties")
		remote, ok := w.lookup(remoteOf(peering))
		if !ok || props == nil {
			continue // the owner's own building, or in another store
		}
		rp, _ := bagOf(remote.Properties)
		state := "Initiated"
		switch back := peeringTo(rp, w.id); {
		case back == nil:
		case back.text("properties", "peeringState") == "Disconnected":
			state = "Initiated"
		default:
			state = "Connected"
			w.setPeering(remoteOf(peering), "Connected")
		}
		if props.text("peeringState") == "Disconnected" && !strings.EqualFold(elementNamed(before, "virtualNetworkPeerings", peering.text("name")).text("name"), "") && state == "Connected" {
			state = "Disconnected" // this side must be made anew
		}
		props["peeringState"], props["peeringSyncLevel"] = state, "FullyInSync"
		dirty = true
	}
	if !dirty {
		return nil
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return invalidContent(err)
	}
	w.next.Properties = raw
	w.resources[w.id.Key()] = w.next
	return nil
}

// setPeering changes the state of the peering of network that leads back.
func (w *write) setPeering(network, state string) {
	w.rewrite(network, func(p bag) bool {
		back := peeringTo(p, w.id)
		if back == nil || back.bag("properties") == nil || back.text("properties", "peeringState") == state {
			return false
		}
		back.bag("properties")["peeringState"] = state
		return true
	})
}
