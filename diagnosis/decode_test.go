package diagnosis

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sample is a diagnosis that uses every part of the contract.
func sample() *Diagnosis {
	return &Diagnosis{
		Schema: Schema, Registry: "myregistry.azurecr.io",
		Findings: []Finding{{
			Cause: DNSZoneNotLinked, Certainty: Proven, Summary: "The zone is not linked.",
			Evidence: []Evidence{{Probe: "dns", Saw: "20.62.128.38", Means: "a public address"}},
			Excluded: []Exclusion{{Cause: CustomDNSNoForwarder, Because: "168.63.129.16 answers the same"}},
			Remedy: Remedy{Summary: "Link the zone.", Commands: []string{"az network private-dns link vnet create <…> && true"},
				Changes: []Change{
					{ARM: &ARMRequest{Method: "PUT", ID: "/subscriptions/s/x", APIVersion: "2024-06-01", Body: json.RawMessage(`{"a":1}`)}},
					{Allow: &Allow{Device: Firewall, Hosts: []string{"*.azurecr.io"}, Port: 443}},
					{Environment: &Environment{Scope: Daemon, Set: map[string]string{"HTTPS_PROXY": ""}}},
					{Resolver: &Resolver{Servers: []string{"10.0.0.4"}}},
					{UseRegistry: "myregistry.azurecr.io"},
				}},
		}},
		Observations: []Observation{{Probe: "egress", Saw: "203.0.113.10"}},
		NotChecked:   []Omission{{Check: "daemon", Because: "docker is not installed"}},
	}
}

func encode(t *testing.T, d *Diagnosis) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Encode(&b, d))
	return b.String()
}

func TestADiagnosisSurvivesEncodingAndDecoding(t *testing.T) {
	text := encode(t, sample())
	got, err := Decode(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, text, encode(t, got))
	require.Contains(t, text, "&& true", "commands are not escaped for HTML")
}

func TestListsAreNeverNull(t *testing.T) {
	text := encode(t, &Diagnosis{Schema: Schema, Registry: "r.azurecr.io", Healthy: true})
	require.Contains(t, text, `"findings": []`)
	require.Contains(t, text, `"observations": []`)
}

func TestDecodeRefuses(t *testing.T) {
	whole := encode(t, sample())
	change := func(old, with string) string {
		require.Contains(t, whole, old)
		return strings.Replace(whole, old, with, 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "it is empty"},
		"white space":         {" \n", "it is empty"},
		"plain text":          {"all is well", "not JSON at byte 1"},
		"a list":              {"[]", "cannot unmarshal array"},
		"half a document":     {whole[:len(whole)/2], "unexpected EOF"},
		"no schema":           {`{"registry":"r"}`, "schema is missing"},
		"another version":     {change(Schema, "acrlab.diagnosis/v2"), `schema is "acrlab.diagnosis/v2", want "acrlab.diagnosis/v1"`},
		"schema of no string": {change(`"`+Schema+`"`, "7"), "schema is 7"},
		"no healthy":          {change(`"healthy": false,`, ""), `key "healthy" is missing`},
		"an unknown key":      {change(`"registry"`, `"surprise": 1, "registry"`), `unknown field "surprise"`},
		"an unknown cause":    {change(`"dns-zone-not-linked"`, `"gremlins"`), `unknown cause "gremlins"`},
		"an empty cause":      {change(`"dns-zone-not-linked"`, `""`), `unknown cause ""`},
		"unknown certainty":   {change(`"proven"`, `"certain"`), `certainty is "certain"`},
		"healthy with a find": {change(`"healthy": false`, `"healthy": true`), "healthy is true, yet there is a finding"},
		"trailing data":       {whole + "{}", "data follows"},
		"trailing text":       {whole + "done.", "data follows"},
		"two kinds of change": {change(`"useRegistry": `, `"resolver": {"servers": ["10.0.0.4"]}, "useRegistry": `), "exactly one kind of change must be set, 2 are"},
		"too much":            {strings.Repeat(" ", MaxSize+1), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Decode(strings.NewReader(c.text))
			require.ErrorContains(t, err, c.want)
			require.Nil(t, d)
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	require.NoError(t, Validate(sample()))
	require.Error(t, Validate(nil))
	for name, c := range map[string]struct {
		spoil func(*Diagnosis)
		want  string
	}{
		"no registry":            {func(d *Diagnosis) { d.Registry = "" }, "registry is empty"},
		"no summary":             {func(d *Diagnosis) { d.Findings[0].Summary = "" }, "findings[0].summary is empty"},
		"no evidence":            {func(d *Diagnosis) { d.Findings[0].Evidence = nil }, "findings[0].evidence is empty"},
		"no remedy":              {func(d *Diagnosis) { d.Findings[0].Remedy.Summary = "" }, "remedy.summary is empty"},
		"proven but undecided":   {func(d *Diagnosis) { d.Findings[0].DecidedBy = "az" }, "nothing left to decide"},
		"excluded what it found": {func(d *Diagnosis) { d.Findings[0].Excluded[0].Cause = DNSZoneNotLinked }, "is a finding as well"},
		"ARM by POST":            {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[0].ARM.Method = "POST" }, `method is "POST"`},
		"ARM without body":       {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[0].ARM.Body = nil }, "PUT without a body"},
		"ARM elsewhere":          {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[0].ARM.ID = "x" }, "/subscriptions/"},
		"ARM without version":    {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[0].ARM.APIVersion = "" }, "apiVersion is empty"},
		"allow at no device":     {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[1].Allow.Device = "switch" }, `device is "switch"`},
		"allow nothing":          {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[1].Allow.Hosts = nil }, "at least one name"},
		"allow port 0":           {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[1].Allow.Port = 0 }, "port is 0"},
		"environment of nobody":  {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[2].Environment.Scope = "" }, "want shell or daemon"},
		"variable with =":        {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[2].Environment.Set["A=B"] = "" }, "no name of a variable"},
		"resolver by name":       {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[3].Resolver.Servers[0] = "dns" }, "no IP address"},
		"an empty change":        {func(d *Diagnosis) { d.Findings[0].Remedy.Changes[4] = Change{} }, "exactly one kind"},
		"omission without why":   {func(d *Diagnosis) { d.NotChecked[0].Because = "" }, "notChecked[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			c.spoil(d)
			require.ErrorContains(t, Validate(d), c.want)
			require.Error(t, Encode(new(bytes.Buffer), d), "what is not valid is not written")
		})
	}
}

func TestEveryCauseIsKnownOnceAndHasASymptom(t *testing.T) {
	seen := map[Cause]bool{}
	for _, e := range Causes() {
		require.False(t, seen[e.Cause], e.Cause)
		seen[e.Cause] = true
		require.NotEmpty(t, e.Symptoms, e.Cause)
		require.NotEmpty(t, e.Means, e.Cause)
		for _, s := range e.Symptoms {
			require.Contains(t, Symptoms(), s, e.Cause)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	require.NoError(f, Encode(&b, sample()))
	f.Add(b.Bytes())
	f.Add([]byte(`{"schema":"acrlab.diagnosis/v1","registry":"r","healthy":true,"findings":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Decode(bytes.NewReader(raw))
		if err != nil {
			require.Nil(t, d)
			return
		}
		var once, twice bytes.Buffer
		require.NoError(t, Encode(&once, d), "what was decoded can be encoded")
		again, err := Decode(bytes.NewReader(once.Bytes()))
		require.NoError(t, err)
		require.NoError(t, Encode(&twice, again))
		require.Equal(t, once.String(), twice.String())
	})
}
