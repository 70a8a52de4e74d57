package azure

import "strings"

// agentPoolKind is Microsoft.ContainerRegistry/registries/agentPools.
// https://learn.microsoft.com/azure/container-registry/tasks-agent-pools
type agentPoolKind struct{ plain }

func (agentPoolKind) check(w *write) error {
	registryID, _ := w.id.Parent()
	registry, err := w.get(registryID)
	if err != nil {
		return err
	}
	if sku, _ := bagOf(registry.SKU); !strings.EqualFold(sku.text("name"), "Premium") {
		return skuError(sku.text("name"), "agentPools", "Upgrade the registry to the Premium SKU.")
	}
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	p.keep(w.before(), "count", "tier", "os", "virtualNetworkSubnetResourceId")
	p.fill("count", 1)
	p.fill("tier", "S1")
	p.fill("os", "Linux")
	if os := p.text("os"); os != "Linux" {
		return badRequest("InvalidParameter", "The operating system '%s' of the agent pool %s is not supported. Agent pools run Linux.", os, w.id.Name())
	}
	if subnet := p.text("virtualNetworkSubnetResourceId"); subnet != "" {
		if _, err := w.requireReference(subnet, "Microsoft.Network/virtualNetworks/subnets"); err != nil {
			return err
		}
	}
	p["provisioningState"] = "Succeeded"
	return w.setProperties(p)
}
