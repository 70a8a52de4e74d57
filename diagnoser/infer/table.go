package infer

import (
	"slices"

	"github.com/acrlab/acrlab/diagnosis"
)

// loginTable is tried in order on the login server's path: the first situation
// that is recognised is the broken stage.
var loginTable = slices.Concat(proxyNameTable, proxyTable, nameTable, packetTable, tlsTable, rulesTable, ipv6Table)

// dataTable is tried on the path to each endpoint that layers come from.
var dataTable = slices.Concat(dataProxyTable, proxyTable[1:], layerNameTable, layerTable, tlsTable, layerAnswerTable)

// Causes are the causes that a judgement can name.
func Causes() []diagnosis.Cause {
	var out []diagnosis.Cause
	for _, s := range slices.Concat(loginTable, dataTable, serviceTable) {
		for _, c := range s.causes {
			if !slices.Contains(out, c.cause) {
				out = append(out, c.cause)
			}
		}
	}
	return out
}
