package world

import (
	"encoding/json"
	"fmt"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/fakes/azure"
)

// request carries out one write to Azure Resource Manager on the store behind
// it, as the server would.
func request(store *azure.Store, r diagnosis.ARMRequest) error {
	var err error
	switch r.Method {
	case "PUT":
		var resource azure.Resource
		if err = json.Unmarshal(r.Body, &resource); err == nil {
			resource.ID = r.ID
			_, _, err = store.Put(resource)
		}
	case "PATCH":
		_, err = store.Patch(r.ID, r.Body)
	case "DELETE":
		var existed bool
		if existed, err = store.Delete(r.ID); err == nil && !existed {
			err = fmt.Errorf("there is no such resource")
		}
	default:
		err = fmt.Errorf("want PUT, PATCH or DELETE")
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.ID, err)
	}
	return nil
}
