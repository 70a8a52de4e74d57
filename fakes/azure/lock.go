package azure

import (
	"net/http"
	"slices"
	"strings"
)

// lockKind is Microsoft.Authorization/locks.
// https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources
type lockKind struct{ plain }

func (lockKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	level := p.text("level")
	i := slices.IndexFunc([]string{"CanNotDelete", "ReadOnly"}, func(l string) bool { return strings.EqualFold(l, level) })
	if i < 0 {
		return badRequest("InvalidLockLevel", "The lock level '%s' is invalid. Supported levels are 'CanNotDelete' and 'ReadOnly'.", level)
	}
	p["level"] = []string{"CanNotDelete", "ReadOnly"}[i]
	return w.setProperties(p)
}

// scope is what an extension resource (a lock, an assignment) is attached to.
func (id ID) scope() string {
	if id.Extends != "" {
		return id.Extends
	}
	return ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}.String()
}

// covers says whether scope is id or above it.
func covers(scope string, id ID) bool {
	s, k := strings.ToLower(scope), id.Key()
	return s == "/" || k == s || strings.HasPrefix(k, s+"/")
}

// locked refuses what a lock forbids: CanNotDelete the deletion of everything
// at and below its scope and of what holds its scope, ReadOnly writes as well.
func (d *data) locked(id ID, method string) error {
	if strings.EqualFold(id.Namespace, "Microsoft.Authorization") && strings.ToLower(id.Type()) == typeLock {
		return nil // a lock can always be removed by who may
	}
	deleting := method == http.MethodDelete
	var scopes []string
	for _, l := range d.ofType(typeLock) {
		lockID, err := ParseID(l.ID)
		if err != nil {
			continue
		}
		p, _ := bagOf(l.Properties)
		at, err := ParseID(lockID.scope())
		if err != nil {
			continue
		}
		if covers(lockID.scope(), id) && (deleting || p.text("level") == "ReadOnly") || deleting && covers(id.String(), at) {
			scopes = append(scopes, lockID.scope())
		}
	}
	if len(scopes) == 0 {
		return nil
	}
	verb := "write"
	if deleting {
		verb = "delete"
	}
	slices.Sort(scopes)
	return errorf(http.StatusConflict, "ScopeLocked",
		"The scope '%s' cannot perform %s operation because following scope(s) are locked: '%s'. Please remove the lock and try again.",
		id, verb, strings.Join(slices.Compact(scopes), ","))
}
