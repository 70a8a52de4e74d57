package azure

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an answer of ARM that is not a success.
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
type Error struct {
	Status  int // HTTP status
	Code    string
	Message string
	Target  string
	Details []*Error
	Info    []any // additionalInfo
	// Authenticate is the WWW-Authenticate header of a 401.
	Authenticate string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func notFound(id ID) *Error {
	switch {
	case id.Namespace == "" && id.ResourceGroup != "":
		return errorf(http.StatusNotFound, "ResourceGroupNotFound", "Resource group '%s' could not be found.", id.ResourceGroup)
	case id.Namespace == "":
		return errorf(http.StatusNotFound, "SubscriptionNotFound", "The subscription '%s' could not be found.", id.Subscription)
	case len(id.Types) > 1:
		// Network's answer for a missing subnet, security rule or record set.
		return errorf(http.StatusNotFound, "NotFound", "Resource %s not found.", id)
	default:
		where := "resource group '" + id.ResourceGroup + "'"
		if id.ResourceGroup == "" {
			where = "subscription '" + id.Subscription + "'"
		}
		return errorf(http.StatusNotFound, "ResourceNotFound",
			"The Resource '%s/%s' under %s was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
			id.Type(), id.Name(), where)
	}
}

func parentNotFound(child, parent ID) *Error {
	return errorf(http.StatusNotFound, "ParentResourceNotFound",
		"Failed to perform operation on nested resource '%s'. Parent resource '%s/%s' not found.", child.Type(), parent.Type(), parent.Name())
}

func invalidContent(err error) *Error {
	return errorf(http.StatusBadRequest, "InvalidRequestContent",
		"The request content was invalid and could not be deserialized: '%s'.", err)
}

// refusal is the answer to a write that the owner of the store does not admit.
func refusal(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return errorf(http.StatusBadRequest, "InvalidRequest", "The request is invalid: %s.", err)
}
