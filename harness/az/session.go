package az

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/acrlab/acrlab/harness/fabric"
)

// configuration is the session's AZURE_CONFIG_DIR on a host: not ~/.azure,
// where a diagnoser's own credential chain would find the sign-in that it was
// not given.
const configuration = "/root/.acrlab-az"

// timeout of one command. A silently dropped name costs az 136 s per address
// (tcp_syn_retries), so this is for those that never end.
const timeout = 5 * time.Minute

// Session runs az on one host of a network. What one command leaves in the
// configuration, a sign-in above all, the next one finds.
type Session struct {
	CLI   *CLI
	World fabric.World
	Host  string
	// Environment is added to the host's own.
	Environment map[string]string
	// Resolver is the name server that az asks instead of the host's: what an
	// administrator sets who has to mend the host's own. It holds for az alone.
	Resolver netip.Addr
}

// Result is what a command wrote and how it ended.
type Result struct {
	Stdout, Stderr string
	ExitCode       int
}

// Message is the end of what a command wrote to stderr, on one line, else of
// what it wrote to stdout.
func (r Result) Message() string {
	out := strings.TrimSpace(r.Stderr)
	if out == "" {
		out = strings.TrimSpace(r.Stdout)
	}
	lines := strings.Split(out, "\n")
	for i, l := range lines {
		// What az says is the paragraph that begins so; hints and examples follow.
		if strings.HasPrefix(l, "ERROR: ") {
			lines = lines[i:]
			break
		}
	}
	return strings.Join(lines[:min(3, len(lines))], " | ")
}

// Run runs az with arguments. That az fails is not an error: see Result.ExitCode.
func (s *Session) Run(ctx context.Context, args ...string) (Result, error) {
	return s.run(ctx, append([]string{s.CLI.Path}, args...))
}

// Shell runs a command as it is printed for people, in a shell of the host
// that finds az in its PATH.
func (s *Session) Shell(ctx context.Context, command string) (Result, error) {
	return s.run(ctx, []string{"/bin/sh", "-c", command})
}

// SignInError says that az itself could not sign in from the host.
type SignInError struct {
	Host   string
	Result Result
}

func (e *SignInError) Error() string {
	return fmt.Sprintf("az cannot sign in from %s: %s", e.Host, e.Result.Message())
}

// Login signs a service principal in, by the environment variables that
// Azure's own libraries read. That az fails is a [*SignInError].
func (s *Session) Login(ctx context.Context, credentials map[string]string) error {
	r, err := s.Run(ctx, "login", "--service-principal", "--username", credentials["AZURE_CLIENT_ID"],
		"--password", credentials["AZURE_CLIENT_SECRET"], "--tenant", credentials["AZURE_TENANT_ID"], "--output", "none")
	if err != nil {
		return err
	}
	if r.ExitCode == 0 && credentials["AZURE_SUBSCRIPTION_ID"] != "" {
		if r, err = s.Run(ctx, "account", "set", "--subscription", credentials["AZURE_SUBSCRIPTION_ID"]); err != nil {
			return err
		}
	}
	if r.ExitCode != 0 {
		return &SignInError{Host: s.Host, Result: r}
	}
	return nil
}

// withResolver puts another resolv.conf over the host's. Programs on a host have
// a mount namespace each, so nobody else sees it.
const withResolver = `printf 'nameserver %s\n' "$1" >/run/acrlab-az-resolv.conf &&
mount --bind /run/acrlab-az-resolv.conf /etc/resolv.conf && shift && exec "$@"`

func (s *Session) run(ctx context.Context, args []string) (Result, error) {
	if s.Resolver.IsValid() {
		args = append([]string{"/bin/sh", "-c", withResolver, "sh", s.Resolver.String()}, args...)
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := &fabric.Command{Args: args, Needs: s.CLI.needs, Env: s.environment(), Dir: "/", Stdout: &stdout, Stderr: &stderr}
	err := s.World.Run(bounded, s.Host, cmd)
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ExitCode}
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case errors.Is(bounded.Err(), context.DeadlineExceeded):
		return r, fmt.Errorf("az on %s did not end within %s and was killed", s.Host, timeout)
	case err != nil:
		return r, fmt.Errorf("running az on %s: %w", s.Host, err)
	}
	return r, nil
}

// environment makes az quiet and alone: no telemetry process, no colours, no
// look at the internet for news or extensions. The trust store is the host's.
func (s *Session) environment() map[string]string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	env := map[string]string{
		"PATH":             filepath.Dir(s.CLI.Path) + string(os.PathListSeparator) + path,
		"AZURE_CONFIG_DIR": configuration,
		// https://learn.microsoft.com/cli/azure/azure-cli-configuration
		"AZURE_CORE_COLLECT_TELEMETRY":        "0",
		"AZURE_CORE_NO_COLOR":                 "1",
		"AZURE_CORE_DISABLE_PROGRESS_BAR":     "1",
		"AZURE_CORE_SURVEY_MESSAGE":           "0",
		"AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
		// The program may be another user's; its modules are compiled already.
		"PYTHONDONTWRITEBYTECODE": "1",
	}
	if s.CLI.extensions != "" {
		env["AZURE_EXTENSION_DIR"] = s.CLI.extensions
	}
	maps.Copy(env, s.Environment)
	return env
}
