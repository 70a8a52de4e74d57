package state

// The simulated subscription. All of it is made up and the same in every run,
// so that commands, recordings and golden files can name it.
const (
	Subscription  = "6a3f0c52-1d74-4e0b-9a58-0d2c7b5e4f10"
	Tenant        = "c1d7a9e4-52b8-4f36-8e0d-93a6f4b21c77"
	ResourceGroup = "acrlab"

	// ApplicationID and ClientSecret are the service principal that may read
	// and change everything in the subscription.
	ApplicationID = "f2b84d1e-7c05-49a3-b6d9-51e8c03a9f62"
	ClientSecret  = "acrlab~simulated.secret-of-no-value"

	// UserName may read and change the same, after a sign-in by device code or
	// password.
	UserName     = "lab@acrlab.onmicrosoft.com"
	UserPassword = "acrlab~simulated.password-of-no-value"

	// TokenName and TokenPassword are the registry token (repository-scoped
	// credentials) that the client's Docker configuration holds.
	TokenName     = "lab-token"
	TokenPassword = "acrlab-simulated-password-of-no-value"
)

// Defaults of fields that a topology leaves out.
const (
	DefaultLocation = "eastus"
	// PlatformDNS is the virtual public address of Azure's own DNS.
	// https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
	PlatformDNS = "168.63.129.16"

	clientVM = "client"
	proxyVM  = "proxy"
	// created is the date of everything: a run must not differ from the next.
	created = "2026-01-05T09:00:00.0000000Z"
)
