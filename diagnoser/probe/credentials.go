package probe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"path"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// tokenUser is the user name that stands for a refresh token.
// https://learn.microsoft.com/azure/container-registry/container-registry-authentication
const tokenUser = "00000000-0000-0000-0000-000000000000"

// credential is what a user has stored for a registry.
type credential struct {
	user, password string
	refresh        string // identity token
	from           string // file or helper, for messages
}

func (c credential) empty() bool { return c.refresh == "" && c.password == "" }

// dockerCredential reads the Docker CLI's configuration, DOCKER_CONFIG or
// ~/.docker. https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties
func dockerCredential(ctx context.Context, h host.Host, registry string) (credential, string) {
	env := func(name string) string {
		for _, kv := range h.Environ() {
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return v
			}
		}
		return ""
	}
	dir := env("DOCKER_CONFIG")
	if dir == "" {
		home := env("HOME")
		if home == "" {
			return credential{}, ""
		}
		dir = path.Join(home, ".docker")
	}
	file := path.Join(dir, "config.json")
	b, err := h.ReadFile(file)
	if err != nil {
		return credential{}, ""
	}
	c, helper, err := parseDockerConfig(b, registry)
	if err != nil {
		return credential{}, file + " is not readable as JSON"
	}
	c.from = file
	if helper == "" || strings.ContainsAny(helper, "/\\ ") {
		return c, ""
	}
	// The protocol wants the name on standard input, which a Host does not
	// offer: listing the helper in the reason is all that can be done.
	if c.empty() {
		return c, "credentials are kept by docker-credential-" + helper + ", which was not asked"
	}
	return c, ""
}

func parseDockerConfig(b []byte, registry string) (c credential, helper string, err error) {
	var config struct {
		Auths map[string]struct {
			Auth          string `json:"auth"`
			Username      string `json:"username"`
			Password      string `json:"password"`
			IdentityToken string `json:"identitytoken"`
		} `json:"auths"`
		CredsStore  string            `json:"credsStore"`
		CredHelpers map[string]string `json:"credHelpers"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		return c, "", err
	}
	helper = config.CredHelpers[registry]
	if helper == "" {
		helper = config.CredsStore
	}
	for key, a := range config.Auths {
		if authHost(key) != registry {
			continue
		}
		c.user, c.password, c.refresh = a.Username, a.Password, a.IdentityToken
		if raw, err := base64.StdEncoding.DecodeString(a.Auth); err == nil {
			if user, password, ok := strings.Cut(string(raw), ":"); ok {
				c.user, c.password = user, strings.TrimRight(password, "\x00")
			}
		}
		break
	}
	return c, helper, nil
}

// authHost reduces a key of "auths", which may be a URL, to its host.
func authHost(key string) string {
	key = strings.ToLower(key)
	if _, rest, ok := strings.Cut(key, "://"); ok {
		key = rest
	}
	key, _, _ = strings.Cut(key, "/")
	return strings.TrimSuffix(key, ":443")
}
