# The commands that people and CI use. `make help` lists them.
GO          ?= go
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
# Rootless tests run as this user when make runs as root.
NOBODY      ?= 65534

.PHONY: help az run test test-race test-rootless lint bench fuzz build clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

build: ## build bin/acrlab
	$(GO) build -trimpath -o bin/acrlab ./cmd/acrlab

az: build ## install the Azure CLI into your cache, for running remedies as printed
	bin/acrlab install az

run: build ## build every scenario, diagnose it, judge the diagnosis
	bin/acrlab run --keep-going

test: build test-race test-rootless ## everything that must pass

test-race:
	ACRLAB_BIN=$(CURDIR)/bin/acrlab $(GO) test -race -timeout 20m ./...

# The same scenarios and the namespaces' own tests as an ordinary user. When make
# runs as an ordinary user already, test-race was that.
test-rootless: build
ifeq ($(shell id -u),0)
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; chmod 755 "$$dir"; \
	cp bin/acrlab "$$dir/acrlab"; cp -r scenarios "$$dir/scenarios"; \
	for p in ./scenarios ./harness/fabric/netns; do \
		$(GO) test -c -o "$$dir/$$(basename $$p).test" $$p; \
	done; \
	chown -R $(NOBODY) "$$dir"; \
	for t in scenarios netns; do \
		echo "as uid $(NOBODY): $$t"; wd="$$dir"; [ $$t = scenarios ] && wd="$$dir/scenarios"; \
		(cd "$$wd" && ACRLAB_BIN="$$dir/acrlab" ACRLAB_REQUIRE=$${ACRLAB_REQUIRE:+netns} HOME="$$dir" TMPDIR="$$dir" \
			setpriv --reuid $(NOBODY) --regid $(NOBODY) --clear-groups "$$dir/$$t.test" -test.timeout 15m); \
	done
else
	@echo "already an ordinary user: make test-race was the rootless run"
endif

lint: ## formatting, vet, staticcheck
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "gofmt needed: $$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

bench: build ## benchmarks; compare runs with benchstat
	ACRLAB_BIN=$(CURDIR)/bin/acrlab $(GO) test -run '^$$' -bench . -benchmem -count $${COUNT:-1} ./...

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

clean: ## remove what building left
	rm -rf bin
