package azure

import (
	"fmt"
	"strings"
	"unicode"
)

// ID is a parsed ARM resource id. The zero value is the tenant's root.
//
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
type ID struct {
	Subscription  string
	ResourceGroup string
	// Namespace is the resource provider, "Microsoft.Network".
	Namespace string
	// Types and Names are the segments after the provider, equally many:
	// ["virtualNetworks", "subnets"] and ["hub", "clients"].
	Types, Names []string
	// Extends is the resource that an extension resource (a lock, a role
	// assignment) is attached to, empty for others.
	Extends string
}

const (
	maxID      = 2048
	maxSegment = 260
)

// ParseID reads "/subscriptions/…". Keywords are recognised in any case; the
// spelling of names is kept. What could not be a resource id, for example
// because of an empty, "." or ".." segment, is refused.
func ParseID(s string) (ID, error) {
	id, collection, err := parsePath(s)
	if err != nil {
		return ID{}, err
	}
	if collection != "" {
		return ID{}, fmt.Errorf("resource id %q: type %q has no name", s, collection)
	}
	return id, nil
}

// parsePath reads a resource id or, when one type segment is left without a
// name, the collection of that type below the returned id.
func parsePath(s string) (id ID, collection string, err error) {
	if len(s) > maxID {
		return ID{}, "", fmt.Errorf("resource id of %d bytes: more than %d", len(s), maxID)
	}
	rest, ok := strings.CutPrefix(s, "/")
	if !ok {
		return ID{}, "", fmt.Errorf("resource id %q: does not begin with /", s)
	}
	seg := strings.Split(rest, "/")
	for _, x := range seg {
		if err := checkSegment(x); err != nil {
			return ID{}, "", fmt.Errorf("resource id %q: %w", s, err)
		}
	}
	if !strings.EqualFold(seg[0], "subscriptions") || len(seg) < 2 {
		return ID{}, "", fmt.Errorf("resource id %q: does not begin with /subscriptions/{id}", s)
	}
	id.Subscription, seg = seg[1], seg[2:]
	if len(seg) > 0 && strings.EqualFold(seg[0], "resourceGroups") {
		if len(seg) == 1 {
			return id, "resourceGroups", nil
		}
		id.ResourceGroup, seg = seg[1], seg[2:]
	}
	for len(seg) > 0 {
		if !strings.EqualFold(seg[0], "providers") {
			return ID{}, "", fmt.Errorf("resource id %q: %q where \"providers\" was expected", s, seg[0])
		}
		if len(seg) == 1 {
			return id, "providers", nil
		}
		if id.Namespace != "" {
			if len(id.Types) == 0 {
				return ID{}, "", fmt.Errorf("resource id %q: provider %s without a resource", s, id.Namespace)
			}
			id.Extends = id.String()
		}
		id.Namespace, id.Types, id.Names = seg[1], nil, nil
		seg = seg[2:]
		for len(seg) > 0 && !strings.EqualFold(seg[0], "providers") {
			if len(seg) == 1 {
				return id, seg[0], nil
			}
			id.Types, id.Names = append(id.Types, seg[0]), append(id.Names, seg[1])
			seg = seg[2:]
		}
	}
	return id, "", nil
}

// checkSegment allows what Azure allows in names somewhere, and nothing that a
// path or URL gives a meaning to.
func checkSegment(x string) error {
	switch {
	case x == "":
		return fmt.Errorf("empty segment")
	case x == "." || x == "..":
		return fmt.Errorf("segment %q", x)
	case len(x) > maxSegment:
		return fmt.Errorf("segment of %d bytes: more than %d", len(x), maxSegment)
	}
	for _, r := range x {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r):
		case strings.ContainsRune("-_.()@*~$ ", r):
		default:
			return fmt.Errorf("segment %q: character %q", x, r)
		}
	}
	return nil
}

// String spells the id with Azure's keywords.
func (id ID) String() string {
	var b strings.Builder
	if id.Extends != "" {
		b.WriteString(id.Extends)
	} else {
		if id.Subscription != "" {
			b.WriteString("/subscriptions/" + id.Subscription)
		}
		if id.ResourceGroup != "" {
			b.WriteString("/resourceGroups/" + id.ResourceGroup)
		}
	}
	if id.Namespace != "" {
		b.WriteString("/providers/" + id.Namespace)
	}
	for i, t := range id.Types {
		b.WriteString("/" + t + "/" + id.Names[i])
	}
	return b.String()
}

// Key is the id in lower case: ARM compares ids without regard to case.
func (id ID) Key() string { return strings.ToLower(id.String()) }

// Type is "Microsoft.Network/virtualNetworks/subnets", or that of a provider,
// resource group or subscription in package Microsoft.Resources.
func (id ID) Type() string {
	switch {
	case len(id.Types) > 0:
		return id.Namespace + "/" + strings.Join(id.Types, "/")
	case id.Namespace != "":
		return TypeProvider
	case id.ResourceGroup != "":
		return TypeResourceGroup
	default:
		return TypeSubscription
	}
}

// Name is the last segment.
func (id ID) Name() string {
	switch {
	case len(id.Names) > 0:
		return id.Names[len(id.Names)-1]
	case id.Namespace != "":
		return id.Namespace
	case id.ResourceGroup != "":
		return id.ResourceGroup
	default:
		return id.Subscription
	}
}

// Parent is the resource that a child resource belongs to; ok is false for
// top-level resources.
func (id ID) Parent() (parent ID, ok bool) {
	if len(id.Types) < 2 {
		return ID{}, false
	}
	n := len(id.Types) - 1
	parent = id
	parent.Types, parent.Names = id.Types[:n:n], id.Names[:n:n]
	return parent, true
}

// child is the id of name in a collection below id.
func (id ID) child(kind, name string) ID {
	n := len(id.Types)
	id.Types = append(id.Types[:n:n], kind)
	id.Names = append(id.Names[:n:n], name)
	return id
}

// Types that ARM itself provides.
const (
	TypeSubscription  = "Microsoft.Resources/subscriptions"
	TypeResourceGroup = "Microsoft.Resources/resourceGroups"
	// TypeProvider is a registration of a resource provider in a subscription,
	// kept as a resource with the id /subscriptions/{s}/providers/{ns} and the
	// property registrationState. A provider without one is Registered.
	TypeProvider = "Microsoft.Resources/providers"
)
