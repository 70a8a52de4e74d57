package state

import "github.com/acrlab/acrlab/fakes/azure"

// RouteTable is a Microsoft.Network/routeTables resource.
type RouteTable = Item[RouteTableProperties]

// RouteTableProperties of a route table.
type RouteTableProperties struct {
	DisableBGPRoutePropagation bool    `json:"disableBgpRoutePropagation"`
	Routes                     []Route `json:"routes"`
}

// Route is a user-defined route.
type Route struct {
	Name       string          `json:"name"`
	Properties RouteProperties `json:"properties"`
}

// RouteProperties of a user-defined route.
type RouteProperties struct {
	AddressPrefix    string `json:"addressPrefix"`
	NextHopType      string `json:"nextHopType"`
	NextHopIPAddress string `json:"nextHopIpAddress"`
}

// RouteTables of the state, by id.
func RouteTables(s azure.State) ([]RouteTable, error) {
	return list[RouteTableProperties](s, TypeRouteTable)
}
