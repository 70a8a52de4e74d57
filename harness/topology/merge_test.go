package topology

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// The examples of RFC 7396 appendix A, those whose target and patch are objects
// at the top or below.
func TestMergePatchFollowsTheRFC(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		t.Run(c.target+" and "+c.patch, func(t *testing.T) {
			var target, patch any
			require.NoError(t, json.Unmarshal([]byte(c.target), &target))
			require.NoError(t, json.Unmarshal([]byte(c.patch), &patch))
			got, err := json.Marshal(mergePatch(target, patch))
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(got))
			before, err := json.Marshal(target)
			require.NoError(t, err)
			require.JSONEq(t, c.target, string(before), "the target is not changed")
		})
	}
}
