package kql

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func events() Database {
	login := Table{Columns: []Column{{"TimeGenerated", Datetime}, {"LoginServer", String}, {"OperationName", String}, {"Identity", String},
		{"CallerIpAddress", String}, {"DurationMs", Long}, {"Region", String}, {"ResultType", String}, {"ResultDescription", String}}}
	for i, status := range []string{"200", "401", "403", "200"} {
		login.Rows = append(login.Rows, []any{noon.Add(-time.Duration(i) * time.Hour), "myregistry.azurecr.io", "Login", "user" + fmt.Sprint(i%2),
			"203.0.113.7", int64(10 * i), "eastus", "HttpStatusCode", status})
	}
	repository := Table{Columns: append(append([]Column{}, login.Columns...), Column{"Repository", String}, Column{"Tag", String}, Column{"Size", Long})}
	for i, status := range []string{"200", "404"} {
		repository.Rows = append(repository.Rows, []any{noon.Add(-time.Duration(i) * time.Minute), "myregistry.azurecr.io", "Pull", "user0",
			"203.0.113.7", int64(5), "eastus", "HttpStatusCode", status, "hello-world", "latest", int64(1000)})
	}
	return Database{"ContainerRegistryLoginEvents": login, "ContainerRegistryRepositoryEvents": repository}
}

// text renders a result in one line per row.
func run(t *testing.T, query string) string {
	t.Helper()
	got, err := Query(query, events(), noon)
	require.NoError(t, err, query)
	var lines []string
	var head []string
	for _, c := range got.Columns {
		head = append(head, c.Name+":"+string(c.Type))
	}
	lines = append(lines, strings.Join(head, " "))
	for _, r := range got.Rows {
		require.Len(t, r, len(got.Columns))
		var cells []string
		for _, v := range r {
			if v == nil {
				cells = append(cells, "null")
				continue
			}
			cells = append(cells, toString(v))
		}
		lines = append(lines, strings.Join(cells, " "))
	}
	return strings.Join(lines, "\n")
}

// The queries of
// https://learn.microsoft.com/azure/container-registry/monitor-container-registry
func TestDocumentedQueries(t *testing.T) {
	require.Equal(t, "TimeGenerated:datetime Identity:string CallerIpAddress:string ResultDescription:string\n"+
		"2026-01-05T11:00:00.0000000Z user1 203.0.113.7 401\n2026-01-05T10:00:00.0000000Z user0 203.0.113.7 403",
		run(t, `ContainerRegistryLoginEvents | where ResultDescription != "200" | project TimeGenerated, Identity, CallerIpAddress, ResultDescription`))
	require.Equal(t, "TimeGenerated:datetime OperationName:string Repository:string Tag:string ResultDescription:string\n"+
		"2026-01-05T11:59:00.0000000Z Pull hello-world latest 404",
		run(t, `ContainerRegistryRepositoryEvents
| where ResultDescription contains "40"
| project TimeGenerated, OperationName, Repository, Tag, ResultDescription // what failed`))
	all := run(t, `ContainerRegistryRepositoryEvents | union ContainerRegistryLoginEvents | top 100 by TimeGenerated | project TimeGenerated, LoginServer, OperationName, Identity, Repository, DurationMs, Region, ResultType`)
	lines := strings.Split(all, "\n")
	require.Len(t, lines, 7)
	require.Equal(t, "2026-01-05T12:00:00.0000000Z myregistry.azurecr.io Pull user0 hello-world 5 eastus HttpStatusCode", lines[1])
	require.Contains(t, lines[6], "2026-01-05T09:00:00.0000000Z")
}

func TestOperators(t *testing.T) {
	const login = "ContainerRegistryLoginEvents"
	for query, want := range map[string]string{
		login + ` | count`: "Count:long\n4",
		login + ` | where TimeGenerated > ago(90m) | count`:                                                                                 "Count:long\n2",
		login + ` | where TimeGenerated between (datetime(2026-01-05 10:00) .. now()) | count`:                                              "Count:long\n3",
		login + ` | where TimeGenerated == datetime("2026-01-05T12:00:00Z") | count`:                                                        "Count:long\n1",
		login + ` | where ResultDescription in ("401", "403") | count`:                                                                      "Count:long\n2",
		login + ` | where ResultDescription !in ("401", "403") and Identity =~ "USER1" | count`:                                             "Count:long\n1",
		login + ` | where not(Identity == "user0") or DurationMs >= 20 | count`:                                                             "Count:long\n3",
		login + ` | where LoginServer has "azurecr" and LoginServer !has "azure" | count`:                                                   "Count:long\n4",
		login + ` | where LoginServer startswith "MY" and LoginServer !startswith_cs "MY" | count`:                                          "Count:long\n4",
		login + ` | where ResultDescription matches regex "^40[13]$" | count`:                                                               "Count:long\n2",
		login + ` | where toint(ResultDescription) > 400 | summarize count() by Identity | order by Identity asc`:                           "Identity:string count_:long\nuser0 1\nuser1 1",
		login + ` | summarize n=count(), dcount(Identity), max(DurationMs), avg(DurationMs), countif(DurationMs>0)`:                         "n:long dcount_Identity:long max_DurationMs:long avg_DurationMs:real countif_:long\n4 2 30 15 3",
		login + ` | summarize count() by bin(TimeGenerated, 1d)`:                                                                            "TimeGenerated:datetime count_:long\n2026-01-05T00:00:00.0000000Z 4",
		login + ` | where false | summarize count(), sum(DurationMs)`:                                                                       "count_:long sum_DurationMs:long\n0 0",
		login + ` | extend Age = now() - TimeGenerated | top 1 by Age | project Age, Twice = DurationMs * 2`:                                "Age:timespan Twice:long\n03:00:00 60",
		login + ` | sort by ResultDescription desc, DurationMs asc | take 2 | project ResultDescription`:                                    "ResultDescription:string\n403\n401",
		login + ` | distinct ResultDescription | order by ResultDescription asc`:                                                            "ResultDescription:string\n200\n401\n403",
		`union ContainerRegistryRepositoryEvents, (` + login + ` | where ResultDescription == '403') | count`:                               "Count:long\n3",
		login + ` | union ContainerRegistryRepositoryEvents | where isempty(Repository) | project Size | take 1`:                            "Size:long\nnull",
		login + ` | project-away TimeGenerated, LoginServer, OperationName, CallerIpAddress, Region, ResultType | take 1;`:                  "Identity:string DurationMs:long ResultDescription:string\nuser0 0 200",
		login + ` | take 1 | project a = -7 / 2, b = 7 % 4, c = 1 / 0, d = "x\"y", e = @'a\b', f = iff(1 < 2, "l", "g"), g = tolower("AB")`: "a:long b:long c:long d:string e:string f:string g:string\n-3 3 null x\"y a\\b l ab",
	} {
		require.Equal(t, want, run(t, query), query)
	}
}

func TestWrongQueriesAreToldWhere(t *testing.T) {
	const login = "ContainerRegistryLoginEvents"
	for query, want := range map[string]struct {
		kind Kind
		text string
		at   string
	}{
		"":                            {Syntax, "expected a table", "1 0"},
		"Nope | count":                {Semantic, "Failed to resolve table or column expression named 'Nope'", "1 0"},
		login + "\n| where Nope == 1": {Semantic, "Failed to resolve column or scalar expression named 'Nope'", "2 8"},
		login + " | where":            {Syntax, "expected a value", ""},
		login + " | wher x":           {Syntax, "at 'wher': there is no operator", "1 31"},
		login + " | join X on Y":      {Unsupported, "the operator 'join' is not answered", "1 31"},
		"let x = 1; " + login:         {Unsupported, "'let' is not answered", "1 0"},
		login + " | project parse_json(Identity)":             {Unsupported, "the function 'parse_json'", ""},
		login + " | summarize percentile(DurationMs, 5)":      {Unsupported, "the aggregation 'percentile'", ""},
		login + " | union withsource=T X":                     {Unsupported, "union with 'withsource='", ""},
		login + " | where Identity == 'x":                     {Syntax, "a string has no end", ""},
		login + " | where Identity > 5":                       {Semantic, "Cannot compare values of types string and long", ""},
		login + " | where DurationMs":                         {Semantic, "must be of type bool", ""},
		login + " | where Identity contains 5":                {Semantic, "needs strings", ""},
		login + " | project Identity, Identity":               {Semantic, "given twice", ""},
		login + " | take 5x":                                  {Syntax, "'5x' is no number", ""},
		login + " | take Identity":                            {Syntax, "expected a whole number", ""},
		login + " | top 5":                                    {Syntax, "expected 'by'", ""},
		login + " | where TimeGenerated > datetime(nonsense)": {Syntax, "'nonsense' is no date and time", ""},
		login + " | where ago(1, 2) > 3":                      {Semantic, "expects between 1 and 1", ""},
		login + " | where # == 1":                             {Syntax, "has no meaning here", ""},
		login + " | where Identity matches regex '('":         {Semantic, "is no regular expression", ""},
		login + " | where " + strings.Repeat("(", 5000):       {Syntax, "nested more than", ""},
		login + " extra":                                      {Syntax, "at 'extra'", ""},
		strings.Repeat(" ", maxQuery+1):                       {Syntax, "longer than", ""},
	} {
		_, err := Query(query, events(), noon)
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok, "%q: %v", query, err)
		require.Equal(t, want.kind, e.Kind, query)
		require.Contains(t, e.Message, want.text, query)
		if want.at != "" {
			require.Equal(t, want.at, fmt.Sprintf("%d %d", e.Line, e.Column), query)
		}
	}
}

// Whatever is asked gives a table that is whole, or an error that says what.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		`ContainerRegistryLoginEvents | where ResultDescription != "200" | project TimeGenerated, Identity`,
		`ContainerRegistryRepositoryEvents | union ContainerRegistryLoginEvents | top 100 by TimeGenerated desc nulls first`,
		`union (ContainerRegistryLoginEvents | extend a = bin(DurationMs, 7), b = TimeGenerated + 1d * 2) | summarize x=sum(a), min(b) by bin(TimeGenerated, 1h)`,
		`ContainerRegistryLoginEvents | where (DurationMs % 3) between (-1 .. 5) and Identity !in~ ('a') | distinct * | count`,
		`ContainerRegistryLoginEvents|take 1|project datetime(2026-01-01)-now(), 1.5/0, iff(true, 1d, 2d), strcat("a", 1)`,
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := Query(query, events(), noon)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok)
			require.NotEmpty(t, e.Message)
			return
		}
		for _, r := range got.Rows {
			require.Len(t, r, len(got.Columns))
		}
	})
}

func BenchmarkDocumentedQuery(b *testing.B) {
	db := events()
	for b.Loop() {
		if _, err := Query(`ContainerRegistryRepositoryEvents | union ContainerRegistryLoginEvents | top 100 by TimeGenerated | project TimeGenerated, LoginServer`, db, noon); err != nil {
			b.Fatal(err)
		}
	}
}
