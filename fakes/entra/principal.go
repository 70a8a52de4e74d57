package entra

import (
	"maps"
	"slices"
	"strings"
)

// PrincipalKind is what a principal is, in Microsoft Graph's words.
type PrincipalKind string

const (
	PrincipalUser        PrincipalKind = "User"
	PrincipalApplication PrincipalKind = "Application"
	PrincipalManaged     PrincipalKind = "ManagedIdentity"
)

// Principal is who may have a role.
type Principal struct {
	Kind     PrincipalKind
	ObjectID string
	// Name is a display name.
	Name string
	// AppID of applications and managed identities.
	AppID string
	// UserName is a user's principal name.
	UserName string
	// ResourceID of managed identities.
	ResourceID string
}

// Principals are all principals of the tenant, by object id.
func (t *Tenant) Principals() []Principal {
	d := t.directory()
	var out []Principal
	for _, a := range d.applications {
		p := Principal{Kind: PrincipalApplication, ObjectID: a.objectID, Name: a.name, AppID: a.id, ResourceID: a.resourceID}
		if a.managed {
			p.Kind = PrincipalManaged
		}
		if p.Name == "" {
			p.Name = a.id
		}
		out = append(out, p)
	}
	for _, u := range slices.Collect(maps.Values(d.users)) {
		out = append(out, Principal{Kind: PrincipalUser, ObjectID: u.ObjectID, Name: u.DisplayName, UserName: u.Name})
	}
	slices.SortFunc(out, func(a, b Principal) int { return strings.Compare(a.ObjectID, b.ObjectID) })
	return out
}
