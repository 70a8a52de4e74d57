package azure

import (
	"net/http"
	"strings"
)

const registered = "Registered"

// registration is the state of a provider in a subscription.
func (d *data) registration(subscription, namespace string) string {
	r, ok := d.resources[ID{Subscription: subscription, Namespace: namespace}.Key()]
	if !ok {
		return registered
	}
	p, _ := bagOf(r.Properties)
	if s := p.text("registrationState"); s != "" {
		return s
	}
	return registered
}

// unregistered refuses a creation whose provider the subscription does not
// know. Microsoft.Resources and Microsoft.Authorization are always there.
func (d *data) unregistered(id ID) error {
	if id.Namespace == "" || len(id.Types) == 0 || strings.EqualFold(id.Namespace, "Microsoft.Resources") ||
		strings.EqualFold(id.Namespace, "Microsoft.Authorization") || d.registration(id.Subscription, id.Namespace) == registered {
		return nil
	}
	e := errorf(http.StatusConflict, "MissingSubscriptionRegistration",
		"The subscription is not registered to use namespace '%s'. See https://aka.ms/rps-not-found for how to register subscriptions.", id.Namespace)
	e.Details = []*Error{{Code: e.Code, Target: id.Namespace, Message: e.Message}}
	return e
}
