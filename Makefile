# The targets that people and machines use; `make` alone prints them.
GO ?= go
.DEFAULT_GOAL := help

.PHONY: help build install test check fmt-check vet staticcheck tidy-check redis-server interpreters golden golden-check race bench fuzz test-long clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: ## build bin/slop
	$(GO) build -trimpath -o bin/slop ./cmd/slop

install: ## install slop into GOBIN
	$(GO) install -trimpath ./cmd/slop

test: redis-server interpreters ## pass every test; needs Go, git, sh, redis-server, python3, node and curl, which root on Debian gets by itself
	@for tool in git sh; do command -v $$tool >/dev/null || { echo "make test needs $$tool: install it and run again" >&2; exit 1; }; done
	$(GO) test $(TESTFLAGS) -timeout 15m ./...

# The store on Redis is tested against the real one; a machine without it learns nothing, so it fails. RUNLEVEL=1 keeps Debian from starting a service of it.
redis-server:
	@command -v redis-server >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
	    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive; \
	    apt-get install -y -q --no-install-recommends redis-server >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends redis-server >/dev/null; }; \
	  fi; \
	  command -v redis-server >/dev/null || { echo "the tests need redis-server, 6.2 or newer: apt-get install redis-server and run again" >&2; exit 1; }; \
	}

# The examples of agents run in the languages they are written in, the guide of the server in curl.
interpreters:
	@for tool in python3 node curl; do command -v $$tool >/dev/null && continue; \
	  package=$$tool; [ $$tool = node ] && package=nodejs; \
	  if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get install -y -q --no-install-recommends $$package >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends $$package >/dev/null; }; \
	  fi; \
	  command -v $$tool >/dev/null || { echo "the tests need $$tool: apt-get install $$package and run again" >&2; exit 1; }; \
	done

check: fmt-check vet staticcheck tidy-check golden-check race ## everything else a change must pass: format, vet, staticcheck, tidy, golden files, race

fmt-check: ## fail when a Go file is not gofmt'ed
	@out=$$(gofmt -l cmd lang runtime stdlib examples spec); if [ -n "$$out" ]; then echo "not gofmt'ed:" >&2; echo "$$out" >&2; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

tidy-check:
	$(GO) mod tidy -diff

golden: ## rewrite the golden files; then read the diff
	SLOP_GOLDEN=1 $(GO) test -count=1 ./lang/... ./runtime/... ./cmd/... ./spec/... >/dev/null

golden-check: ## fail when the golden files are not what the code gives
	@before=$$(git status --porcelain -- testdata spec examples | sort); \
	$(MAKE) --no-print-directory golden; \
	after=$$(git status --porcelain -- testdata spec examples | sort); \
	if [ "$$before" != "$$after" ]; then echo "golden files changed; run make golden and read the diff:" >&2; git --no-pager diff --stat -- testdata spec examples >&2; exit 1; fi

# What is built for the race detector sleeps for a second before it exits, unless told otherwise; the tests start a thousand processes.
race: export GORACE := $(GORACE) atexit_sleep_ms=10
race: redis-server interpreters ## the tests under the race detector, in their short form; needs a C compiler
	@command -v cc >/dev/null || command -v gcc >/dev/null || { echo "make race needs a C compiler: apt-get install gcc" >&2; exit 1; }
	CGO_ENABLED=1 $(GO) test -race -short -timeout 20m ./...

bench: redis-server ## the benchmarks; each claim stands beside its yardstick in the same run
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 2s -timeout 30m ./lang/... ./runtime/... ./stdlib/... ./cmd/...

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME (30s)
	@for pkg in $$($(GO) list ./lang/... ./runtime/... ./stdlib/...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done

test-long: redis-server interpreters ## the long forms: simulation with many seeds, and the real Strudel packages; needs Node and npm
	SLOP_LONG=1 $(GO) test -count=1 -timeout 60m ./...

clean: ## remove what was built
	rm -rf bin
