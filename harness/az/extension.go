package az

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// extensions names the groups of commands that are not part of az itself. az
// offers to install them when it can reach their index, which no simulated
// network can.
// https://learn.microsoft.com/cli/azure/azure-cli-extensions-list
var extensions = []struct{ prefix, name string }{
	{"az network firewall ", "azure-firewall"},
	{"az network bastion ", "bastion"},
}

// Can says why a printed command cannot be run by this az, or nil.
func (c *CLI) Can(command string) error {
	for _, e := range extensions {
		if !strings.HasPrefix(command, e.prefix) {
			continue
		}
		if c.extensions != "" {
			if info, err := os.Stat(filepath.Join(c.extensions, e.name)); err == nil && info.IsDir() {
				continue
			}
		}
		return fmt.Errorf("%q needs the extension %s; try, with internet access: AZURE_EXTENSION_DIR=%s %s extension add --name %s",
			strings.TrimSpace(e.prefix), e.name, c.extensions, c.Path, e.name)
	}
	return nil
}
