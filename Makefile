# Everything a contributor types. "make help" lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The same flags for build, tests and linters: what is tested is what is shipped,
# and SQLite's C code is compiled once. A static program can't load SQLite
# extensions, and takes Go's resolver instead of the C library's.
flags := -trimpath -tags=sqlite_omit_load_extension,netgo,osusergo
export GOFLAGS := $(filter-out $(flags),$(GOFLAGS)) $(flags)
export CGO_ENABLED := 1

BIN ?= bin/mediamove
FUZZTIME ?= 10s
PKGS ?= ./...
# Arguments for the bench and the demo, such as: make bench ARGS=-quick
ARGS ?=

lint-tool := go tool -modfile=tools/lint.mod
npm-stamps := $(patsubst %/package-lock.json,%/node_modules/.package-lock.json,$(wildcard fixtures/*/package-lock.json fixtures/*/*/package-lock.json))

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: setup-build ## build the static binary, bin/mediamove
	go build -ldflags '-s -w -linkmode external -extldflags "-static"' -o $(BIN) ./cmd/mediamove

.PHONY: demo
demo: build ## the whole journey on a sample instance: no account, no network
	$(BIN) demo $(ARGS)

.PHONY: test
test: setup ## all tests, with the race detector
	go test -race -shuffle=on -parallel 4 -timeout 30m $(PKGS)

.PHONY: lint
lint: lint-format lint-vet lint-fix lint-golangci lint-mod lint-vuln ## everything that reads the code

.PHONY: lint-format
lint-format:
	@files=$$($(lint-tool) gofumpt -l .); if [ -n "$$files" ]; then echo "gofumpt -w is due on:"; echo "$$files"; exit 1; fi
	@echo "gofumpt: formatted"

.PHONY: lint-vet
lint-vet: setup-build
	go vet $(PKGS)

.PHONY: lint-fix
lint-fix: setup-build
	go fix -diff $(PKGS)

.PHONY: lint-golangci
lint-golangci: setup-build
	$(lint-tool) golangci-lint run --allow-parallel-runners $(PKGS)

.PHONY: lint-mod
lint-mod:
	go mod verify

# Exit 3 is a finding. A database that can't be reached must not stop the work.
.PHONY: lint-vuln
lint-vuln: setup-build
	@out=$$($(lint-tool) govulncheck $(PKGS) 2>&1) && code=0 || code=$$?; \
	if [ $$code -ne 0 ] && [ $$code -ne 3 ] && grep -q 'fetching vulnerabilities' <<<"$$out"; then \
		echo "govulncheck: its database can't be reached, nothing was checked"; \
	else echo "$$out"; exit $$code; fi

.PHONY: fuzz
fuzz: setup-build ## every fuzz target for FUZZTIME (10s) each
	@pkgs=$$(go list $(PKGS)); \
	for pkg in $$pkgs; do \
		targets=$$(go test -list '^Fuzz' $$pkg | awk '/^Fuzz/'); \
		for target in $$targets; do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: bench
bench: setup build ## measure against rclone and mc, side by side
	go run ./bench -mediamove $(BIN) $(ARGS)

.PHONY: man
man: setup-build ## write docs/man anew from the commands
	mkdir -p docs/man
	go test ./cmd/mediamove -run '^TestManPages$$' -update

.PHONY: setup
setup: setup-build $(npm-stamps) ## install what the tests need, if it is missing
	@tools/setup test
	@go list -modfile=tools/versitygw.mod -export -deps github.com/versity/versitygw/cmd/versitygw >/dev/null

.PHONY: setup-build
setup-build:
	@tools/setup build

%/node_modules/.package-lock.json: %/package-lock.json | setup-npm
	cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: setup-npm
setup-npm:
	@tools/setup npm

.PHONY: clean
clean: ## remove what make made
	rm -rf bin $(dir $(npm-stamps))
