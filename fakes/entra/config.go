// Package entra is Microsoft Entra as far as a client that signs in to Azure
// needs it: discovery, tokens for applications, managed identities and users,
// keys.
package entra

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Config is one tenant.
type Config struct {
	Tenant string `json:"tenant"`
	// Clients maps application ids to secrets.
	Clients map[string]string `json:"clients"`
	// Applications says more about those of Clients, and names others.
	Applications []Application `json:"applications,omitempty"`
	// Identities are managed identities: they have tokens and no way to sign in.
	Identities []Identity `json:"identities,omitempty"`
	// Users sign in by device code or, if they have one, by password.
	Users []User `json:"users,omitempty"`
}

// Application is a registered application with its service principal.
type Application struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Certificates in PEM, with which the application signs assertions.
	Certificates []string `json:"certificates,omitempty"`
	// Federations are whose tokens stand for the application.
	Federations []Federation `json:"federations,omitempty"`
}

// Identity is a managed identity.
type Identity struct {
	ClientID    string `json:"clientId"`
	PrincipalID string `json:"principalId"`
	Name        string `json:"name,omitempty"`
	// ResourceID is the machine's of a system-assigned identity, the identity's
	// own of a user-assigned one.
	ResourceID string `json:"resourceId,omitempty"`
	// Federations are whose tokens stand for a user-assigned identity.
	Federations []Federation `json:"federations,omitempty"`
}

// Federation is a federated identity credential: tokens of Issuer for Subject
// and Audience stand for the application.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation
type Federation struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	// Audience is "api://AzureADTokenExchange" if empty.
	Audience string `json:"audience,omitempty"`
	// Keys is the issuer's JSON Web Key Set (RFC 7517). Entra reads it from the
	// issuer's discovery document; here it is given.
	Keys json.RawMessage `json:"keys,omitempty"`
}

// User is a person.
type User struct {
	// Name is the user principal name, "lab@acrlab.onmicrosoft.com".
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	ObjectID    string `json:"objectId"`
	Password    string `json:"password,omitempty"`
}

// federationAudience is what Entra recommends and Kubernetes writes.
const federationAudience = "api://AzureADTokenExchange"

// directory is a Config that was checked, for look-ups.
type directory struct {
	tenant       string
	secrets      map[string]string       // by lower-case application id
	applications map[string]*application // by lower-case application id
	users        map[string]*User        // by lower-case name
}

// application is whatever may be the subject of an application token.
type application struct {
	id, name, objectID, resourceID string
	managed                        bool
	certificates                   []*x509.Certificate
	federations                    []federation
}

func newDirectory(cfg Config) (*directory, error) {
	if cfg.Tenant == "" || strings.ContainsAny(cfg.Tenant, "/?#%\\ ") {
		return nil, fmt.Errorf("%q is not a tenant id", cfg.Tenant)
	}
	d := &directory{tenant: cfg.Tenant, secrets: map[string]string{}, applications: map[string]*application{}, users: map[string]*User{}}
	for id, secret := range cfg.Clients {
		if id == "" || secret == "" {
			return nil, errors.New("an application without id or secret")
		}
		key := strings.ToLower(id)
		d.secrets[key] = secret
		d.applications[key] = &application{id: id, objectID: objectID(cfg.Tenant, id)}
	}
	for _, a := range cfg.Applications {
		if a.ID == "" {
			return nil, fmt.Errorf("application %q without id", a.Name)
		}
		key := strings.ToLower(a.ID)
		app := d.applications[key]
		if app == nil {
			app = &application{id: a.ID, objectID: objectID(cfg.Tenant, a.ID)}
			d.applications[key] = app
		}
		app.name = a.Name
		var err error
		if app.certificates, err = parseCertificates(a.Certificates); err == nil {
			app.federations, err = parseFederations(a.Federations)
		}
		if err != nil {
			return nil, fmt.Errorf("application %s: %w", a.ID, err)
		}
	}
	for _, i := range cfg.Identities {
		key := strings.ToLower(i.ClientID)
		switch {
		case i.ClientID == "" || i.PrincipalID == "":
			return nil, fmt.Errorf("managed identity %q without client id or principal id", i.Name)
		case d.applications[key] != nil:
			return nil, fmt.Errorf("managed identity %q: another application has its client id %s", i.Name, i.ClientID)
		}
		list, err := parseFederations(i.Federations)
		if err != nil {
			return nil, fmt.Errorf("managed identity %q: %w", i.Name, err)
		}
		d.applications[key] = &application{id: i.ClientID, name: i.Name, objectID: i.PrincipalID, resourceID: i.ResourceID, managed: true, federations: list}
	}
	for _, u := range cfg.Users {
		key := strings.ToLower(u.Name)
		switch {
		case !strings.Contains(u.Name, "@") || u.ObjectID == "":
			return nil, fmt.Errorf("user %q: a user has a name like user@domain and an object id", u.Name)
		case d.users[key] != nil:
			return nil, fmt.Errorf("user %s: given twice", u.Name)
		}
		d.users[key] = &u
	}
	return d, nil
}

func parseCertificates(list []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for i, text := range list {
		block, _ := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("certificate %d is not in PEM", i+1)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading certificate %d: %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}
