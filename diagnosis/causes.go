package diagnosis

import (
	"fmt"
	"slices"
)

// Cause is the id of one cause in the closed taxonomy of [Causes].
type Cause string

// Symptom is one of the eleven symptoms of the article "Troubleshoot network
// issues with registry", in its order.
// https://learn.microsoft.com/azure/container-registry/container-registry-troubleshoot-access
type Symptom string

const (
	S1  Symptom = "S1"  // dial tcp: lookup myregistry.azurecr.io
	S2  Symptom = "S2"  // Client.Timeout exceeded while awaiting headers
	S3  Symptom = "S3"  // Could not connect to the registry login server
	S4  Symptom = "S4"  // another Azure service or AKS cannot pull or push
	S5  Symptom = "S5"  // behind a proxy: 403 Forbidden, proxyconnect tcp: EOF
	S6  Symptom = "S6"  // Failed to save firewall and virtual network settings
	S7  Symptom = "S7"  // the portal or CLI cannot view or manage settings
	S8  Symptom = "S8"  // network rules cannot be added or changed
	S9  Symptom = "S9"  // ACR Tasks cannot push or pull
	S10 Symptom = "S10" // Microsoft Defender for Cloud cannot scan
	S11 Symptom = "S11" // host is not reachable, with a private endpoint
)

// Symptoms are all symptoms in order.
func Symptoms() []Symptom {
	return []Symptom{S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11}
}

// Entry describes a cause.
type Entry struct {
	Cause    Cause     `json:"cause"`
	Symptoms []Symptom `json:"symptoms"` // those under which users meet it
	Means    string    `json:"means"`    // one sentence, no full stop
}

// Lookup finds the entry of a cause.
func Lookup(c Cause) (Entry, bool) {
	i := slices.IndexFunc(causes, func(e Entry) bool { return e.Cause == c })
	if i < 0 {
		return Entry{}, false
	}
	return causes[i], true
}

// Causes is the whole taxonomy, in the order in which a path is walked: name,
// packets, registry rules, Azure's own management, proxy, TLS, services.
func Causes() []Entry { return slices.Clone(causes) }

// UnmarshalText refuses a cause that the taxonomy does not hold.
func (c *Cause) UnmarshalText(b []byte) error {
	if _, ok := Lookup(Cause(b)); !ok {
		return fmt.Errorf("unknown cause %q", b)
	}
	*c = Cause(b)
	return nil
}

// The causes of the taxonomy.
const (
	DNSNameWrong                          Cause = "dns-name-wrong"
	DNSRegistryRecreatedStaleCNAME        Cause = "dns-registry-recreated-stale-cname"
	DNSResolverUnreachable                Cause = "dns-resolver-unreachable"
	DNSPrivateZoneMissing                 Cause = "dns-private-zone-missing"
	DNSZoneNotLinked                      Cause = "dns-zone-not-linked"
	DNSZoneMissingRegistryRecord          Cause = "dns-zone-missing-registry-record"
	PEDeletedZoneLeft                     Cause = "pe-deleted-zone-left"
	DNSZoneMissingDataRecord              Cause = "dns-zone-missing-data-record"
	DNSDataRecordPublicFallback           Cause = "dns-data-record-public-fallback"
	DNSReplicaRecordMissing               Cause = "dns-replica-record-missing"
	DNSStalePublicIP                      Cause = "dns-stale-public-ip"
	DNSZoneRecordOverwritten              Cause = "dns-zone-record-overwritten"
	CustomDNSNoForwarder                  Cause = "custom-dns-no-forwarder"
	DNSOnPremNoForwarder                  Cause = "dns-onprem-no-forwarder"
	PrivateLinkNameUsed                   Cause = "privatelink-name-used"
	DockerResolverDiffers                 Cause = "docker-resolver-differs"
	FirewallDropsRest                     Cause = "firewall-drops-rest"
	FirewallRejectsRest                   Cause = "firewall-rejects-rest"
	SNIBlocked                            Cause = "sni-blocked"
	FirewallDropsData                     Cause = "firewall-drops-data"
	FirewallDataAfterEnable               Cause = "firewall-data-after-enable"
	FirewallBlobWildcardMissing           Cause = "firewall-blob-wildcard-missing"
	StorageServiceEndpointPolicy          Cause = "storage-service-endpoint-policy"
	GeoReplicaDataBlocked                 Cause = "geo-replica-data-blocked"
	GeoDNSBouncing                        Cause = "geo-dns-bouncing"
	GeoReplicaExcluded                    Cause = "geo-replica-excluded"
	NSGOutboundDeny                       Cause = "nsg-outbound-deny"
	PENSGBlock                            Cause = "pe-nsg-block"
	UDRBlackhole                          Cause = "udr-blackhole"
	UDRAsymmetricPE                       Cause = "udr-asymmetric-pe"
	VNetPeeringMissing                    Cause = "vnet-peering-missing"
	RegistryIPRule                        Cause = "registry-ip-rule"
	EgressIPChanged                       Cause = "egress-ip-changed"
	ProxyEgressNotAllowed                 Cause = "proxy-egress-not-allowed"
	PublicAccessDisabled                  Cause = "public-access-disabled"
	ServiceEndpointRuleMissing            Cause = "service-endpoint-rule-missing"
	ServiceEndpointNotEnabled             Cause = "service-endpoint-not-enabled"
	ServiceEndpointShadowsIPRule          Cause = "service-endpoint-shadows-ip-rule"
	ServiceEndpointDisabledByPublicAccess Cause = "service-endpoint-disabled-by-public-access"
	ServiceEndpointAndPEBoth              Cause = "service-endpoint-and-pe-both"
	PENotApproved                         Cause = "pe-not-approved"
	PEOtherTenantOrRP                     Cause = "pe-other-tenant-or-rp"
	RPNotRegistered                       Cause = "rp-not-registered"
	PermissionMissing                     Cause = "permission-missing"
	ResourceLock                          Cause = "resource-lock"
	PolicyDenied                          Cause = "policy-denied"
	SKUNotPremium                         Cause = "sku-not-premium"
	RuleLimitReached                      Cause = "rule-limit-reached"
	PESubnetExhausted                     Cause = "pe-subnet-exhausted"
	PEStaticIPReplica                     Cause = "pe-static-ip-replica"
	ProxyDenied403                        Cause = "proxy-denied-403"
	ProxyEOF                              Cause = "proxy-eof"
	ProxyAuth407                          Cause = "proxy-auth-407"
	ProxyUnreachable                      Cause = "proxy-unreachable"
	DaemonIgnoresProxy                    Cause = "daemon-ignores-proxy"
	NoProxyMissesData                     Cause = "no-proxy-misses-data"
	ProxyUsedForPE                        Cause = "proxy-used-for-pe"
	TLSIntercepted                        Cause = "tls-intercepted"
	ClockSkew                             Cause = "clock-skew"
	MCRBlocked                            Cause = "mcr-blocked"
	EntraBlocked                          Cause = "entra-blocked"
	CredentialsOrRBAC                     Cause = "credentials-or-rbac"
	Throttled429                          Cause = "throttled-429"
	TaskAgentBlocked                      Cause = "task-agent-blocked"
	TaskIdentityBypassOff                 Cause = "task-identity-bypass-off"
	TaskAgentPoolEgressBlocked            Cause = "task-agentpool-egress-blocked"
	TaskPoolDNS                           Cause = "task-pool-dns"
	TaskDualStackUnsupported              Cause = "task-dualstack-unsupported"
	DefenderBypassOff                     Cause = "defender-bypass-off"
	DefenderServiceEndpoint               Cause = "defender-service-endpoint"
	AppServiceImagePullNotOverVNet        Cause = "appservice-image-pull-not-over-vnet"
	ACITrustedIdentityMissing             Cause = "aci-trusted-identity-missing"
	ServiceUnsupported                    Cause = "service-unsupported"
	ACAControlPlaneToken403               Cause = "aca-controlplane-token-403"
	IPv6PathBlackholed                    Cause = "ipv6-path-blackholed"
	IPv6IPRuleMissing                     Cause = "ipv6-ip-rule-missing"
	BastionUnsupported                    Cause = "bastion-unsupported"
	MTUBlackhole                          Cause = "mtu-blackhole"
)

var causes = []Entry{
	{DNSNameWrong, []Symptom{S1, S3}, "No registry answers to this login server name"},
	{DNSRegistryRecreatedStaleCNAME, []Symptom{S3}, "The registry was created again in another region and its name still leads to the old one"},
	{DNSResolverUnreachable, []Symptom{S1, S2}, "The configured resolver does not answer"},
	{DNSPrivateZoneMissing, []Symptom{S4, S7, S11}, "A private endpoint exists, the zone privatelink.azurecr.io does not"},
	{DNSZoneNotLinked, []Symptom{S4, S11}, "The private DNS zone is not linked to the virtual network that asks"},
	{DNSZoneMissingRegistryRecord, []Symptom{S1, S3, S11}, "The linked private DNS zone has no record for the registry"},
	{PEDeletedZoneLeft, []Symptom{S1, S11}, "The private endpoint is gone, its DNS zone or record still answers"},
	{DNSZoneMissingDataRecord, []Symptom{S4}, "The linked private DNS zone has no record for the data endpoint"},
	{DNSDataRecordPublicFallback, []Symptom{S4}, "The login server resolves privately, the data endpoint publicly"},
	{DNSReplicaRecordMissing, []Symptom{S4}, "The private DNS zone has no record for the data endpoint of one replica"},
	{DNSStalePublicIP, []Symptom{S4, S11}, "The client uses an address from a hosts file or cache that the registry no longer has"},
	{DNSZoneRecordOverwritten, []Symptom{S4, S11}, "The zone's record holds the address of another network's private endpoint"},
	{CustomDNSNoForwarder, []Symptom{S4, S7, S11}, "The virtual network's own DNS server does not forward to Azure DNS"},
	{DNSOnPremNoForwarder, []Symptom{S11}, "The on-premises resolver does not forward to a resolver inside the virtual network"},
	{PrivateLinkNameUsed, []Symptom{S4}, "The client addresses the registry by its privatelink name"},
	{DockerResolverDiffers, []Symptom{S1, S2}, "The container engine asks another resolver than the host"},
	{FirewallDropsRest, []Symptom{S2, S3, S4}, "A firewall drops packets to the login server"},
	{FirewallRejectsRest, []Symptom{S3, S4}, "A firewall rejects connections to the login server"},
	{SNIBlocked, []Symptom{S2, S3, S4}, "A firewall ends TLS handshakes that name the login server"},
	{FirewallDropsData, []Symptom{S4}, "A firewall drops packets to the data endpoint"},
	{FirewallDataAfterEnable, []Symptom{S4}, "Data endpoints were enabled, the firewall still allows blob storage only"},
	{FirewallBlobWildcardMissing, []Symptom{S4}, "The firewall does not allow the storage account that holds the layers"},
	{StorageServiceEndpointPolicy, []Symptom{S4}, "A service endpoint policy of the subnet refuses the registry's storage account"},
	{GeoReplicaDataBlocked, []Symptom{S4}, "The data endpoint of one replica is out of reach"},
	{GeoDNSBouncing, []Symptom{S4}, "Successive requests of one push reach different replicas"},
	{GeoReplicaExcluded, []Symptom{S4}, "A replica is taken out of global routing"},
	{NSGOutboundDeny, []Symptom{S2, S4}, "An outbound rule of the subnet's network security group denies the registry"},
	{PENSGBlock, []Symptom{S2, S11}, "A network security group on the private endpoint's subnet denies the client"},
	{UDRBlackhole, []Symptom{S2, S11}, "A route of the subnet leads the registry's addresses nowhere"},
	{UDRAsymmetricPE, []Symptom{S2}, "Only some of the private endpoint's addresses are routed through the appliance"},
	{VNetPeeringMissing, []Symptom{S2, S11}, "The client's virtual network is not peered with that of the private endpoint"},
	{RegistryIPRule, []Symptom{S3, S4}, "The registry's IP rules do not allow the client's address"},
	{EgressIPChanged, []Symptom{S3, S4}, "The client leaves from another address than the one that the registry allows"},
	{ProxyEgressNotAllowed, []Symptom{S5}, "The registry's IP rules do not allow the proxy's address"},
	{PublicAccessDisabled, []Symptom{S3, S7}, "The registry refuses public access, and the client comes from the public side"},
	{ServiceEndpointRuleMissing, []Symptom{S4}, "The subnet has a service endpoint, the registry has no rule for the subnet"},
	{ServiceEndpointNotEnabled, []Symptom{S4, S6}, "The registry has a rule for the subnet, the subnet has no service endpoint"},
	{ServiceEndpointShadowsIPRule, []Symptom{S4}, "The service endpoint hides the address that the registry's IP rule allows"},
	{ServiceEndpointDisabledByPublicAccess, []Symptom{S4}, "Public access is disabled, and service endpoints with it"},
	{ServiceEndpointAndPEBoth, []Symptom{S8}, "Service endpoint rules and private endpoints stand side by side"},
	{PENotApproved, []Symptom{S11}, "The private endpoint's connection is not approved"},
	{PEOtherTenantOrRP, []Symptom{S6, S8}, "The private endpoint's subscription has not registered Microsoft.ContainerRegistry"},
	{RPNotRegistered, []Symptom{S6, S8}, "The subscription has not registered Microsoft.ContainerRegistry"},
	{PermissionMissing, []Symptom{S7, S8}, "The caller lacks a permission on the registry or the network"},
	{ResourceLock, []Symptom{S8}, "A lock forbids the change"},
	{PolicyDenied, []Symptom{S8}, "An Azure Policy forbids the change"},
	{SKUNotPremium, []Symptom{S8}, "The registry's SKU has no network rules"},
	{RuleLimitReached, []Symptom{S8}, "The registry holds as many network rules as it can"},
	{PESubnetExhausted, []Symptom{S8}, "The private endpoint's subnet has no address left for the replica"},
	{PEStaticIPReplica, []Symptom{S8}, "The private endpoint has static addresses and none for the new replica"},
	{ProxyDenied403, []Symptom{S5}, "The proxy refuses the registry's name"},
	{ProxyEOF, []Symptom{S5}, "The proxy is addressed in a way that it answers by closing the connection"},
	{ProxyAuth407, []Symptom{S5}, "The proxy demands credentials"},
	{ProxyUnreachable, []Symptom{S2, S3, S5}, "The proxy does not answer"},
	{DaemonIgnoresProxy, []Symptom{S2, S3, S5}, "The container engine does not use the proxy that the shell uses"},
	{NoProxyMissesData, []Symptom{S4}, "The proxy exemption covers the login server but not the data endpoint"},
	{ProxyUsedForPE, []Symptom{S4}, "Traffic for a private endpoint goes through a proxy that resolves the public address"},
	{TLSIntercepted, []Symptom{S3, S5}, "TLS is terminated on the way by a certificate authority that the client does not trust"},
	{ClockSkew, []Symptom{S3, S5}, "The client's clock is wrong"},
	{MCRBlocked, []Symptom{S4}, "Microsoft Artifact Registry is out of reach"},
	{EntraBlocked, []Symptom{S4, S7}, "Microsoft Entra or Azure Resource Manager is out of reach"},
	{CredentialsOrRBAC, []Symptom{S4}, "The registry is reachable and refuses the credentials"},
	{Throttled429, []Symptom{S4}, "The registry throttles the client"},
	{TaskAgentBlocked, []Symptom{S9}, "The registry refuses the address of ACR Tasks"},
	{TaskIdentityBypassOff, []Symptom{S9}, "The registry does not let tasks bypass its network rules by identity"},
	{TaskAgentPoolEgressBlocked, []Symptom{S9}, "The agent pool's subnet cannot reach the services that the pool needs"},
	{TaskPoolDNS, []Symptom{S9}, "The agent pool's virtual network resolves the registry publicly"},
	{TaskDualStackUnsupported, []Symptom{S9}, "ACR Tasks do not work on a dual-stack registry"},
	{DefenderBypassOff, []Symptom{S10}, "Trusted services may not bypass the registry's network rules"},
	{DefenderServiceEndpoint, []Symptom{S10}, "Trusted services do not apply to a registry restricted by service endpoint"},
	{AppServiceImagePullNotOverVNet, []Symptom{S4}, "App Service pulls from its public outbound address"},
	{ACITrustedIdentityMissing, []Symptom{S4}, "Container Instances have no identity with which to bypass network rules"},
	{ServiceUnsupported, []Symptom{S4}, "The service that pulls cannot reach a restricted registry"},
	{ACAControlPlaneToken403, []Symptom{S4}, "The Container Apps control plane exchanges the token from a refused address"},
	{IPv6PathBlackholed, []Symptom{S2}, "The registry's IPv6 addresses are out of reach"},
	{IPv6IPRuleMissing, []Symptom{S3, S4}, "The registry's IP rules do not allow the client's IPv6 address"},
	{BastionUnsupported, []Symptom{S11}, "Bastion cannot reach a registry with a private endpoint"},
	{MTUBlackhole, []Symptom{S2}, "Large packets do not pass"},
}
