package infer

import (
	"fmt"
	"strings"
	"time"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// tlsTable: TCP stands and the handshake does not, on either endpoint.
var tlsTable = []situation{
	{
		name: "the clock is wrong", family: familyTLS,
		seen: seesClockSkew,
		causes: []candidate{{
			cause: diagnosis.ClockSkew,
			summary: func(v *view) string {
				return fmt.Sprintf("This host's clock is wrong, so it takes %s's valid certificate for one that is expired or not yet valid.", v.host)
			},
			remedy: func(*view) diagnosis.Remedy {
				return diagnosis.Remedy{Summary: "Set the clock and keep it with NTP.", Commands: []string{"timedatectl set-ntp true"}}
			},
		}},
	},
	{
		name: "the certificate is a foreign one", family: familyTLS,
		seen: seesInterception,
		causes: []candidate{{
			cause: diagnosis.TLSIntercepted,
			summary: func(v *view) string {
				return fmt.Sprintf("TLS to %s is terminated on the way by %s, which this client does not trust.", v.host, issuer(v.path.TLS))
			},
			remedy: func(v *view) diagnosis.Remedy {
				hosts := v.names()
				return diagnosis.Remedy{
					Summary: fmt.Sprintf("Exempt %s from TLS inspection; or give the inspecting authority to every client (system store, /etc/docker/certs.d/%s/ca.crt, REQUESTS_CA_BUNDLE).", strings.Join(hosts, ", "), v.host),
					Changes: []diagnosis.Change{{Allow: &diagnosis.Allow{Device: diagnosis.Inspection, Hosts: hosts, Port: 443}}},
				}
			},
		}},
	},
	{
		name: "only small packets pass", family: familyTLS,
		seen:   seesLargeLost,
		causes: []candidate{mtu},
	},
	{
		name: "the handshake ends at the server name", family: familyTLS,
		seen: seesNameFilter,
		causes: []candidate{{
			cause: diagnosis.SNIBlocked,
			applies: func(v *view) bool {
				return v.role == probe.RoleLogin
			},
			azure: azureNameDenied,
			summary: func(v *view) string {
				if f, p := v.azureFirewall(); f != nil && !p.Allow {
					return firewallText(f, p, v.host) + "."
				}
				return fmt.Sprintf("A firewall reads the server name in the TLS ClientHello and does not let %s pass.", v.host)
			},
			decidedBy: "the firewall's log for " + "the login server's name (AZFWApplicationRule on Azure Firewall)",
			remedy:    remedyFirewall,
		}, {
			cause: diagnosis.FirewallDataAfterEnable,
			// In a virtual network the firewall may be Azure's own, whose rules only
			// Azure tells.
			applies: func(v *view) bool {
				inVNet := v.r.Vantage.InAzureVNet != nil && *v.r.Vantage.InAzureVNet
				return v.role == probe.RoleData && (inVNet && !v.inv.Known(inventory.Registries) || azureBlobRulesOnly(v).verdict == confirmed)
			},
			azure:     azureBlobRulesOnly,
			decidedBy: "the firewall's rules: do they allow blob storage and not the data endpoint?",
			summary:   summaryAfterEnable,
			remedy:    remedyFirewall,
		}, {
			cause:   diagnosis.FirewallDropsData,
			applies: func(v *view) bool { return v.role == probe.RoleData },
			azure:   notAfterEnable,
			summary: func(v *view) string {
				return fmt.Sprintf("A firewall ends TLS handshakes that name the data endpoint %s, from which layers come.", v.host)
			},
			decidedBy: "the firewall's log for the data endpoint's name",
			remedy:    remedyFirewall,
		}, {
			cause:     diagnosis.FirewallBlobWildcardMissing,
			applies:   func(v *view) bool { return v.role == probe.RoleStorage },
			azure:     azureNameDenied,
			summary:   summaryBlob,
			decidedBy: "the firewall's log for the storage account's name",
			remedy:    remedyFirewall,
		}},
	},
	{
		name: "handshakes stall whatever the name", family: familyTLS,
		seen: seesStall,
		causes: []candidate{
			mtu,
			{
				cause: diagnosis.SNIBlocked, applies: func(v *view) bool { return v.role == probe.RoleLogin },
				azure:     azureNameRule,
				decidedBy: "the firewall's log for the login server's name (AZFWApplicationRule on Azure Firewall)",
				summary: func(v *view) string {
					return fmt.Sprintf("A firewall may hold back TLS handshakes that name %s.", v.host)
				},
				remedy: remedyFirewall,
			},
		},
	},
}

func seesClockSkew(v *view) (sighting, bool) {
	if v.path == nil || v.path.TLS == nil || v.path.TLS.Outcome != probe.OutOfTime {
		return sighting{}, false
	}
	skew := v.r.Vantage.ClockSkew
	if !v.r.Vantage.HasSkew || skew.Abs() < 5*time.Minute {
		return sighting{}, false
	}
	return sighting{
		evidence: []diagnosis.Evidence{
			tlsEvidence(v.path, "by this host's clock the certificate is out of its time"),
			{Probe: "challenge", Saw: fmt.Sprintf("this host's clock is %s off a server's Date header; it says %s", skew.Abs().Round(time.Second), v.r.Vantage.Now.UTC().Format(time.RFC3339)), Means: "the clock is wrong, not the certificate"},
		},
		excluded: []diagnosis.Exclusion{{Cause: diagnosis.TLSIntercepted, Because: "the certificate is Microsoft's: " + issuer(v.path.TLS)}},
	}, genuine(v.path.TLS)
}

// genuine says that a leaf names one of the authorities that issue Azure's
// certificates (https://learn.microsoft.com/azure/security/fundamentals/azure-CA-details).
func genuine(t *probe.TLS) bool {
	s := strings.ToLower(t.Issuer + " " + t.IssuerOrg)
	return strings.Contains(s, "microsoft") || strings.Contains(s, "digicert")
}

func seesInterception(v *view) (sighting, bool) {
	if v.path == nil || v.path.TLS == nil {
		return sighting{}, false
	}
	switch v.path.TLS.Outcome {
	case probe.UnknownCA, probe.OutOfTime, probe.WrongName:
	default:
		return sighting{}, false
	}
	if genuine(v.path.TLS) || v.path.TLS.Issuer == "" && v.path.TLS.IssuerOrg == "" {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{tlsEvidence(v.path, "registries' certificates are issued by Microsoft Azure or DigiCert authorities: something on the way speaks TLS in the registry's place")}
	return sighting{evidence: e, excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.PrivateLinkNameUsed, Because: "the issuer is foreign, not only the name"},
		{Cause: diagnosis.ClockSkew, Because: "the issuer is foreign, not only the dates"},
	}}, true
}

// cut says that the handshake was ended or held back after the ClientHello.
func cut(t *probe.TLS) bool {
	if t == nil {
		return false
	}
	switch t.Outcome {
	case probe.TLSReset, probe.TLSClosed, probe.TLSSilence:
		return true
	}
	return false
}

func seesNameFilter(v *view) (sighting, bool) {
	if v.path == nil || v.path.TCP == nil || v.path.TCP.Outcome != probe.Connected || !cut(v.path.TLS) {
		return sighting{}, false
	}
	if smallPasses(v.path) {
		return sighting{}, false
	}
	out := sighting{evidence: []diagnosis.Evidence{
		{Probe: "tcp", Saw: tcpText(v.path), Means: "packets pass"},
		tlsEvidence(v.path, "the connection ends once the server name has been read"),
	}}
	_, fine := v.controls()
	other := v.path.OtherName
	switch {
	case other != nil && !cut(other):
		out.evidence = append(out.evidence, diagnosis.Evidence{Probe: "tls", Saw: tlsText(other.ServerName, other), Means: "the same address answers to another name: the name is what is filtered"})
	case azureNameRule(v).verdict == confirmed:
	case fine > 0 || v.role != probe.RoleLogin && v.login.sound():
		// A filter that allows a list refuses the innocent name as well.
		if v.role == probe.RoleLogin {
			out.evidence = append(out.evidence, v.controlEvidence()...)
		} else {
			out.evidence = append(out.evidence, diagnosis.Evidence{Probe: "tls", Saw: tlsText(v.login.host, v.login.path.TLS), Means: "the login server's name passes the same way"})
		}
		if v.path.TLS.Outcome == probe.TLSSilence && other == nil {
			out.weak = "a handshake with another server name on the same address"
		}
	default:
		return sighting{}, false
	}
	out.excluded = []diagnosis.Exclusion{
		{Cause: diagnosis.FirewallDropsRest, Because: "TCP connects"},
		{Cause: diagnosis.TLSIntercepted, Because: "no certificate was shown"},
	}
	return out, true
}

func seesStall(v *view) (sighting, bool) {
	if v.path == nil || v.path.TCP == nil || v.path.TCP.Outcome != probe.Connected || !cut(v.path.TLS) || v.role == probe.RoleStorage {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{
		{Probe: "tcp", Saw: tcpText(v.path), Means: "packets pass"},
		tlsEvidence(v.path, "the handshake does not complete"),
	}
	if v.path.OtherName != nil {
		e = append(e, diagnosis.Evidence{Probe: "tls", Saw: tlsText(v.path.OtherName.ServerName, v.path.OtherName), Means: "another name fares no better"})
	}
	return sighting{evidence: append(e, v.controlEvidence()...)}, true
}

// azureNameDenied confirms a name filter by the Azure Firewall on the route.
// That one may let the name pass and another device stop it.
func azureNameDenied(v *view) ruling {
	if r := azureNameRule(v); r.verdict == confirmed {
		return r
	}
	return unread
}

// azureNameRule: the Azure Firewall on the route has no rule for the name.
func azureNameRule(v *view) ruling {
	f, p := v.azureFirewall()
	switch {
	case f == nil:
		return unread
	case p.Allow:
		return exclude(fmt.Sprintf("Azure Firewall %s on the route allows %s by rule %s", f.Name, v.host, p.By))
	}
	return confirm(firewallText(f, p, v.host))
}

// azureBlobRulesOnly: the firewall still allows what layers came from before
// data endpoints were enabled
// (https://learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints).
func azureBlobRulesOnly(v *view) ruling {
	f, p := v.azureFirewall()
	if f == nil || p.Allow || !v.inv.Known(inventory.Registries) || v.inv.Registry == nil || !v.inv.Registry.DataEndpointEnabled {
		return unread
	}
	blob := f.Pass("acrlabcheck"+v.blobSuffix(), inventory.Flow{Source: v.r.Vantage.Source, Destination: v.addr(), Port: 443, DestinationTags: []string{"Storage"}})
	if !blob.Allow {
		return unread
	}
	return confirm(fmt.Sprintf("the registry has data endpoints enabled; Azure Firewall %s allows *%s (rule %s) and not %s", f.Name, v.blobSuffix(), blob.By, v.host))
}

func notAfterEnable(v *view) ruling {
	if r := azureBlobRulesOnly(v); r.verdict == confirmed {
		return exclude("the firewall's rules are those from before data endpoints were enabled")
	}
	return azureNameDenied(v)
}

func summaryAfterEnable(v *view) string {
	return fmt.Sprintf("Data endpoints were enabled on the registry, and the firewall still allows blob storage only: layers now come from %s, which it refuses.", v.host)
}

func summaryBlob(v *view) string {
	return fmt.Sprintf("Layers come from the storage account %s, which the firewall does not let pass: *%s is not allowed.", v.host, v.blobSuffix())
}

var mtu = candidate{
	cause:     diagnosis.MTUBlackhole,
	decidedBy: "ping -M do -s 1472 towards any answering host beyond the tunnel, or a handshake with a small MSS",
	summary: func(v *view) string {
		return fmt.Sprintf("TCP to %s opens, and packets of full size are lost on the way, so no TLS handshake completes.", v.host)
	},
	remedy: func(*view) diagnosis.Remedy {
		return diagnosis.Remedy{Summary: "Clamp the TCP MSS to the path's MTU on the tunnel or appliance.", Commands: []string{"iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"}}
	},
}

// smallPasses: the same handshake over small segments went through.
func smallPasses(p *probe.Path) bool {
	return p != nil && p.TLS != nil && p.TLS.Outcome == probe.TLSSilence && p.SmallSegments != nil && p.SmallSegments.Outcome == probe.Verified
}

func seesLargeLost(v *view) (sighting, bool) {
	if !smallPasses(v.path) {
		return sighting{}, false
	}
	return sighting{
		evidence: []diagnosis.Evidence{
			tlsEvidence(v.path, "with segments of ordinary size nothing comes back"),
			{Probe: "tls", Saw: "the same handshake with segments below 536 bytes is verified", Means: "size decides, not the name"},
		},
		excluded: []diagnosis.Exclusion{{Cause: diagnosis.SNIBlocked, Because: "the same server name passes in small segments"}},
	}, true
}
