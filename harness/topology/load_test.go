package topology

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
)

const notLinked = `title: The private DNS zone is not linked to the client's virtual network
article: configure-vnet-access
symptoms: [S4, S11]
base: private-endpoint
change:
  privateDnsZones:
    privatelink.azurecr.io: {links: []}
expect:
  causes: [dns-zone-not-linked]
  withoutAzureAccess:
    oneOf: [dns-zone-not-linked, dns-private-zone-missing]
  client:
    docker pull: "client with IP '.*' is not allowed access"
prove:
  - client resolves myregistry.azurecr.io to a public address
`

func decode(t *testing.T, text string) (*Scenario, error) {
	t.Helper()
	return Decode("scenarios/x/scenario.yaml", "x", []byte(text))
}

func TestAScenarioIsBaseThenSetupThenChange(t *testing.T) {
	s, err := decode(t, notLinked)
	require.NoError(t, err)
	require.Equal(t, "x", s.ID)
	require.Equal(t, []diagnosis.Symptom{diagnosis.S4, diagnosis.S11}, s.Symptoms)
	require.Equal(t, []diagnosis.Cause{diagnosis.DNSZoneNotLinked}, s.Expect.Causes)
	require.Equal(t, []string{"hub"}, s.Healthy.PrivateDNSZones["privatelink.azurecr.io"].Links)
	require.Empty(t, s.Broken.PrivateDNSZones["privatelink.azurecr.io"].Links)
	require.Equal(t, "hub/clients", s.Broken.Site.At, "what the change does not name stays")
	require.False(t, s.IsHealthy())
}

func TestEveryBaseIsAHealthyScenario(t *testing.T) {
	require.NotEmpty(t, Bases())
	for _, name := range Bases() {
		t.Run(name, func(t *testing.T) {
			s, err := decode(t, "title: Healthy\nbase: "+name+"\n")
			require.NoError(t, err)
			require.True(t, s.IsHealthy())
			require.Equal(t, s.Healthy, s.Broken)
			text, err := BaseText(name)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(text, "# "), "a base begins with its picture")
			b, err := Base(name)
			require.NoError(t, err)
			require.NoError(t, b.Validate())
		})
	}
}

func TestNullRemovesInSetupAndChange(t *testing.T) {
	s, err := decode(t, `title: t
symptoms: [S2]
base: public
setup:
  networkSecurityGroups:
    nsg: {securityRules: {deny: {priority: 100, direction: Outbound, access: Deny, destinationPortRange: 22}}}
    gone: {}
  virtualNetworks: {app: {subnets: {clients: {networkSecurityGroup: nsg}}}}
change:
  networkSecurityGroups: {gone: null, nsg: {securityRules: {deny: {destinationPortRange: 443}}}}
  registry: {networkRuleSet: null, dataEndpointEnabled: null, location: null}
expect: {causes: [nsg-outbound-deny]}
prove: ["client gets no answer from myregistry.azurecr.io:443"]
`)
	require.ErrorContains(t, err, "change.registry.networkRuleSet is removed, but there is no such key before the change")
	require.Nil(t, s)

	s, err = decode(t, `title: t
symptoms: [S2]
base: public
setup:
  networkSecurityGroups:
    nsg: {securityRules: {deny: {priority: 100, direction: Outbound, access: Deny, destinationPortRange: 22}}}
    gone: {}
  virtualNetworks: {app: {subnets: {clients: {networkSecurityGroup: nsg}}}}
change:
  networkSecurityGroups: {gone: null, nsg: {securityRules: {deny: {destinationPortRange: 443}}}}
expect: {causes: [nsg-outbound-deny]}
prove: ["client gets no answer from myregistry.azurecr.io:443"]
`)
	require.NoError(t, err)
	require.Contains(t, s.Healthy.NetworkSecurityGroups, "gone")
	require.NotContains(t, s.Broken.NetworkSecurityGroups, "gone")
	rule := s.Broken.NetworkSecurityGroups["nsg"].SecurityRules["deny"]
	require.Equal(t, "443", rule.DestinationPortRange, "a number is taken as the string that it looks like")
	require.Equal(t, 100, rule.Priority, "the change merges into the rule")
	require.Equal(t, "22", s.Healthy.NetworkSecurityGroups["nsg"].SecurityRules["deny"].DestinationPortRange)
}

func TestLoadingFromFolders(t *testing.T) {
	root := t.TempDir()
	write := func(dir, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
		if text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(root, dir, FileName), []byte(text), 0o644))
		}
	}
	write("b-second", "title: b\nbase: public\n")
	write("a-first", notLinked)
	write("testdata", "")
	write(".git", "")
	require.NoError(t, os.WriteFile(filepath.Join(root, "scenarios_test.go"), []byte("package x"), 0o644))

	all, err := LoadAll(root)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "a-first", all[0].ID)
	require.Equal(t, filepath.Join(root, "a-first"), all[0].Dir)
	require.Equal(t, filepath.Join(root, "a-first", FileName), all[0].File)

	for _, name := range []string{"b-second", filepath.Join(root, "b-second"), filepath.Join(root, "b-second", FileName)} {
		s, err := Find(root, name)
		require.NoError(t, err)
		require.Equal(t, "b-second", s.ID)
	}
	_, err = Find(root, "b-secnod")
	require.ErrorContains(t, err, `did you mean "b-second"?`)

	write("empty", "")
	write("Bad_Name", "title: b\nbase: public\n")
	all, err = LoadAll(root)
	require.ErrorContains(t, err, filepath.Join(root, "empty")+" is no scenario: it holds no scenario.yaml")
	require.ErrorContains(t, err, `the folder is called "Bad_Name"`)
	require.Len(t, all, 2, "the others are still there")
	_, err = LoadAll(filepath.Join(root, "nowhere"))
	require.Error(t, err)
}

// The catalogue and whatever a user writes are read by the same code, so an
// error must lead to the character.
func TestMistakesAreNamedWithTheirPlaceAndMend(t *testing.T) {
	head := "title: t\nbase: private-endpoint\nsymptoms: [S4]\nprove: [client connects to a.example:443]\nexpect: {causes: [dns-zone-not-linked]}\n"
	for name, c := range map[string]struct{ text, want string }{
		"unknown key": {head + "change:\n  registry:\n    publicNetworkAcces: Enabled\n",
			`scenarios/x/scenario.yaml:8:5: unknown key "publicNetworkAcces", did you mean "publicNetworkAccess"?`},
		"unknown top key":   {"titel: t\nbase: public\n", `scenarios/x/scenario.yaml:1:1: unknown key "titel", did you mean "title"?`},
		"key far from any":  {"title: t\nbase: public\nzzzzzzzzz: 1\n", `3:1: unknown key "zzzzzzzzz"; here can stand article, base, change`},
		"duplicate key":     {"title: t\nbase: public\ntitle: u\n", `scenarios/x/scenario.yaml:3:1: mapping key "title" already defined`},
		"wrong type":        {head + "change:\n  registry: {dataEndpointEnabled: often}\n", `7:14: change.registry.dataEndpointEnabled is a string, want true or false`},
		"list for mapping":  {head + "change:\n  virtualNetworks: [hub]\n", `7:3: change.virtualNetworks is a list, want a mapping by name`},
		"number for text":   {"title: {a: b}\nbase: public\n", `1:1: title is a mapping, want a string`},
		"wrong enum":        {head + "change:\n  registry: {publicNetworkAccess: disabled}\n", `7:35: change.registry.publicNetworkAccess: unknown value "disabled"; want Enabled or Disabled`},
		"unknown cause":     {strings.Replace(head, "dns-zone-not-linked", "dns-zone-not-linkd", 1), `5:19: expect.causes[0]: unknown value "dns-zone-not-linkd", did you mean "dns-zone-not-linked"?`},
		"unknown base":      {"title: t\nbase: pubic\n", `2:7: base: unknown value "pubic"; want azure-firewall, behind-firewall`},
		"no base":           {"title: t\n", `scenarios/x/scenario.yaml: base is missing`},
		"empty":             {"# nothing\n", `the file is empty`},
		"not a mapping":     {"- a\n", `the file is a list, want a mapping`},
		"broken YAML":       {"title: [a\n", `scenarios/x/scenario.yaml:1:8: `},
		"two documents":     {"title: t\nbase: public\n---\ntitle: u\n", `more than one YAML document`},
		"anchor":            {"title: &a t\nbase: public\n", `anchors, aliases, merge keys and tags are not part of the language`},
		"merge key":         {"title: t\nbase: public\nsetup:\n  site:\n    <<: {at: x}\n", `anchors, aliases, merge keys and tags are not part of the language`},
		"null title":        {"title:\nbase: public\n", `1:1: title has no value`},
		"name that escapes": {head + "change:\n  privateEndpoints: {../../etc: {subnet: hub/clients}}\n", `7:22: change.privateEndpoints: "../../etc" is no valid Azure name`},
		"region":            {head + "change:\n  registry: {replications: {West Europe: {}}}\n", `"West Europe" is no region; regions are written like eastus`},
		"dead removal":      {head + "change:\n  networkSecurityGroups: {nsg: null}\n", `7:27: change.networkSecurityGroups.nsg is removed, but there is no such key before the change`},
		"no effect":         {head + "change:\n  registry: {publicNetworkAccess: Disabled}\n", `6:1: the change changes nothing`},
		"no cause":          {"title: t\nbase: public\nchange: {registry: {publicNetworkAccess: Disabled}}\n", `3:1: there is a change but no expect.causes`},
		"no change":         {head, `5:10: causes are expected but there is no change`},
		"no proof":          {strings.Replace(head, "prove", "#prove", 1) + "change: {registry: {dataEndpointEnabled: false}}\n", `5:10: there is no prove`},
		"no symptom":        {strings.Replace(head, "symptoms", "#symptoms", 1) + "change: {registry: {dataEndpointEnabled: false}}\n", `there are no symptoms`},
		"healthy symptom":   {"title: t\nbase: public\nsymptoms: [S1]\n", `3:1: a healthy scenario`},
		"odd proof":         {strings.Replace(head, "client connects to", "client conects to", 1) + "change: {registry: {dataEndpointEnabled: false}}\n", `4:9: no proof sentence reads "client conects to a.example:443"; the closest form is "HOST connects to NAME:PORT"`},
		"one of others": {strings.Replace(head, "linked]", "linked], withoutAzureAccess: {oneOf: [mcr-blocked]}", 1) + "change: {registry: {dataEndpointEnabled: false}}\n",
			`oneOf does not hold the expected cause dns-zone-not-linked`},
		"odd client": {strings.Replace(head, "linked]", "linked], client: {docker pul: x}", 1) + "change: {registry: {dataEndpointEnabled: false}}\n",
			`unknown client "docker pul"; want crane, "docker pull"`},
		"odd expression": {strings.Replace(head, "linked]", "linked], client: {crane: '('}", 1) + "change: {registry: {dataEndpointEnabled: false}}\n",
			`no regular expression`},
		"a tab":        {"title: t\n\tbase: public\n", `scenarios/x/scenario.yaml:2:1: broken YAML: a tab; indent with spaces`},
		"not UTF-8":    {"title: t\nbase: p\xffblic\n", `scenarios/x/scenario.yaml:2:8: byte 0xff is not UTF-8; a scenario is text in UTF-8`},
		"a NUL":        {"title: \x00\nbase: public\n", `scenarios/x/scenario.yaml:1:8: control character U+0000`},
		"deep nesting": {"title: " + strings.Repeat("[", 2000) + "\n", `more than 1000 brackets`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := decode(t, c.text)
			require.Nil(t, s)
			require.ErrorContains(t, err, c.want)
			for line := range strings.SplitSeq(err.Error(), "\n") {
				require.True(t, strings.HasPrefix(line, "scenarios/x/scenario.yaml:"), "one line each, with the file: %q", line)
			}
		})
	}
}

// Editors of Windows begin a text with a byte order mark and end lines with CR LF.
func TestAFileFromWindowsIsRead(t *testing.T) {
	s, err := decode(t, "\xef\xbb\xbftitle: t\r\nbase: public\r\n")
	require.NoError(t, err)
	require.Equal(t, "t", s.Title)
}

func TestSeveralMistakesAreReportedInOrder(t *testing.T) {
	_, err := decode(t, "titel: t\nbase: public\nsetup:\n  sitee: {}\n  registry: {sku: premium}\n")
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], ":1:1:")
	require.Contains(t, lines[1], ":4:3:")
	require.Contains(t, lines[2], ":5:19:")
	var p *Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, 1, p.Line)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(notLinked))
	for _, name := range Bases() {
		text, err := BaseText(name)
		require.NoError(f, err)
		f.Add([]byte("title: t\nbase: " + name + "\nsetup:\n  " + strings.ReplaceAll(text, "\n", "\n  ")))
	}
	f.Add([]byte("title: !!str &a x\nbase: *a\n? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Decode("f", "x", raw)
		if err != nil {
			require.Nil(t, s)
			return
		}
		require.NoError(t, s.Healthy.Validate())
		require.NoError(t, s.Broken.Validate())
	})
}
