// Package entra is Microsoft Entra as far as a client that signs in to Azure
// needs it: discovery, tokens for applications, keys.
package entra

// Config is one tenant.
type Config struct {
	Tenant string `json:"tenant"`
	// Clients maps application ids to secrets.
	Clients map[string]string `json:"clients"`
}
