package azure

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// operations are the long-running operations that clients still ask about.
// The write itself is done when the operation begins; only its status lags.
// https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
type operations struct {
	mu    sync.Mutex
	polls map[string]int // left until done, by name
	order []string       // oldest first
}

const keptOperations = 1000

func (o *operations) begin(polls int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.polls == nil {
		o.polls = map[string]int{}
	}
	name := uuid.NewString()
	o.polls[name] = polls
	o.order = append(o.order, name)
	if len(o.order) > keptOperations {
		delete(o.polls, o.order[0])
		o.order = o.order[1:]
	}
	return name
}

// poll counts one request for an operation's status.
func (o *operations) poll(name string) (done, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	left, known := o.polls[name]
	if left > 0 {
		o.polls[name] = left - 1
	}
	return left == 0, known
}

// longRunning are the types whose writes take time on Azure.
func longRunning(id ID, method string) bool {
	switch strings.ToLower(id.Namespace) {
	case "microsoft.network", "microsoft.compute", "microsoft.containerregistry":
		return !strings.EqualFold(id.Type(), "Microsoft.Network/privateDnsZones/A")
	case "":
		return method == http.MethodDelete && id.ResourceGroup != ""
	}
	return false
}

// begin makes a reply to a write that is done the beginning of an operation,
// if the server is told that operations take time.
func (h *handler) begin(req *request, id ID, location string, done reply) reply {
	polls := h.front.Load().Polls
	if polls <= 0 || !longRunning(id, req.Method) || done.status == http.StatusNoContent {
		return done
	}
	namespace := id.Namespace
	if namespace == "" {
		namespace = "Microsoft.Resources"
	}
	base := fmt.Sprintf("https://%s/subscriptions/%s/providers/%s/locations/%s", Host, id.Subscription, namespace, nameOr(normalLocation(location), "global"))
	name, query := h.operations.begin(polls), "?api-version="+req.version
	header := map[string]string{"Azure-AsyncOperation": base + "/operations/" + name + query, "Retry-After": "1"}
	for k, v := range done.header {
		header[k] = v
	}
	if req.Method == http.MethodDelete {
		header["Location"] = base + "/operationResults/" + name + query
		return reply{status: http.StatusAccepted, header: header}
	}
	done.header = header
	return done
}

// operation answers GET …/locations/{l}/operations/{name} and
// …/operationResults/{name}.
func (h *handler) operation(req *request, id ID) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	done, known := h.operations.poll(id.Name())
	if !known {
		return reply{}, errorf(http.StatusNotFound, "OperationNotFound", "The operation '%s' was not found.", id.Name())
	}
	retry := map[string]string{"Retry-After": strconv.Itoa(1)}
	if strings.EqualFold(id.Types[1], "operationResults") {
		if done {
			return reply{status: http.StatusNoContent}, nil
		}
		retry["Location"] = "https://" + Host + req.URL.RequestURI()
		return reply{status: http.StatusAccepted, header: retry}, nil
	}
	status := "Succeeded"
	if !done {
		return reply{status: http.StatusOK, header: retry, body: map[string]any{"id": id.String(), "name": id.Name(), "status": "InProgress"}}, nil
	}
	return reply{status: http.StatusOK, body: map[string]any{"id": id.String(), "name": id.Name(), "status": status}}, nil
}

func isOperation(id ID) bool {
	return len(id.Types) == 2 && strings.EqualFold(id.Types[0], "locations") &&
		(strings.EqualFold(id.Types[1], "operations") || strings.EqualFold(id.Types[1], "operationResults"))
}
