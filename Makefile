# OA Sync: one Makefile for everything. `make help` explains the targets.
#
# The version is stated here and nowhere else by hand; `make lint` checks every other place against it.
VERSION := 0.5.0

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
# Plain `make` builds, as PGXN's client and everybody else expects.
.DEFAULT_GOAL := all
.NOTPARALLEL:

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
PG_CONFIG ?= pg_config
# Installing into PostgreSQL's directories takes root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

NODE_TEST = node --test --test-reporter=spec --test-concurrency=$(TEST_CONCURRENCY)
# Test files at a time: they wait more than they compute. Each has servers of its own, so not more than 8.
TEST_CONCURRENCY ?= $(shell n=$$((2 * $$(nproc))); echo $$((n < 8 ? n : 8)))
WIRE_TESTS = $(sort $(wildcard test/wire/*.test.mjs))
# What is run against the ASan/UBSan binary: the parts that parse what strangers send, and the way of the data.
ASAN_WIRE_TESTS = $(addprefix test/wire/,hostile_frames.test.mjs partial_writes.test.mjs hostile_handshake.test.mjs tokens.test.mjs \
	join_subscribe.test.mjs resume.test.mjs encodings.test.mjs shutdown.test.mjs postgres_restart.test.mjs)
# The oracle saturates the machine by itself; the others run beside each other.
ORACLE_TESTS = test/integration/oracle.test.mjs
INTEGRATION_TESTS = $(sort $(wildcard test/integration/*.test.mjs))
PROTO_ES = build/proto-es/.stamp

##@ Every day
.PHONY: help
help: ## explain the targets
	@echo "OA Sync $(VERSION). Usage: make TARGET [VARIABLE=value]"
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-zA-Z_ -]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables\n  %-18s %s\n  %-18s %s\n  %-18s %s\n  %-18s %s\n' \
	  DURATION 'seconds that `make demo` runs (default: until Ctrl-C)' \
	  JOBS 'parallel compile jobs (default: all cores)' \
	  PREFIX 'where `make install` puts the programs (default: /usr/local)' \
	  PG_CONFIG 'the PostgreSQL to build for (default: pg_config in PATH)'

.PHONY: demo
demo: deps all install $(PROTO_ES) ## watch ordinary writes arrive in a stock phoenix client; DURATION=15 ends by itself
	@node demo/run.mjs $(if $(DURATION),--duration $(DURATION))

.PHONY: check
check: deps all install $(PROTO_ES) ## build, install and run every test
	@mkdir -p build; nice $(MAKE) --no-print-directory asan-build >build/asan-build.log 2>&1 & build=$$!; \
	  trap 'kill $$build 2>/dev/null || true' EXIT; \
	  $(MAKE) --no-print-directory check-pgtap check-unit check-terminal check-sdk check-wire check-browser check-integration check-chaos check-drill; \
	  echo "waiting for the sanitizer build, begun beside the tests"; \
	  wait $$build || { cat build/asan-build.log; exit 1; }
	@$(MAKE) --no-print-directory check-asan check-fuzz
	@echo "make check: everything passed"

##@ Building
.PHONY: deps
deps: ## install what is needed: Debian packages (apt, sudo when not root) and npm packages
	@scripts/deps.sh

.PHONY: all build
all build: extension fanout console ## build the extension, the fan-out, oa-sync, the SDK and the console

.PHONY: extension
extension:
	$(MAKE) -j$(JOBS) -C extension PG_CONFIG=$(PG_CONFIG)

.PHONY: fanout
fanout: ; @$(call build-fanout,build/fanout,RelWithDebInfo,)

# Configures (once) and builds the fan-out: directory, build type, sanitizer.
build-fanout = test -f $(1)/build.ninja || cmake -S fanout -B $(1) -G Ninja -DCMAKE_BUILD_TYPE=$(2) \
	-DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DOA_SYNC_SANITIZE=$(3); ninja -C $(1) -j$(JOBS)

.PHONY: sdk
sdk: $(PROTO_ES) ## build the TypeScript SDK (clients/typescript/dist)
	npm run --silent build -w @openagents/sync

.PHONY: console
console: sdk ## build the console (build/console)
	npm run --silent build -w @openagents/sync-console

.PHONY: install
install: all ## install the extension into PostgreSQL; the fan-out and oa-sync into PREFIX/bin; console, manual, completions into PREFIX/share
	$(SUDO) $(MAKE) -C extension install PG_CONFIG=$(PG_CONFIG)
	$(SUDO) install -D -m 755 build/fanout/oa-sync-fanout $(DESTDIR)$(PREFIX)/bin/oa-sync-fanout
	$(SUDO) install -D -m 755 build/fanout/oa-sync $(DESTDIR)$(PREFIX)/bin/oa-sync
	build/fanout/oa-sync man >build/fanout/oa-sync.1
	$(SUDO) install -D -m 644 build/fanout/oa-sync.1 $(DESTDIR)$(PREFIX)/share/man/man1/oa-sync.1
	$(call install-completion,bash,bash-completion/completions/oa-sync)
	$(call install-completion,zsh,zsh/site-functions/_oa-sync)
	$(call install-completion,fish,fish/vendor_completions.d/oa-sync.fish)
	@$(install-console)

# What the program says about itself: shell, place below PREFIX/share.
install-completion = build/fanout/oa-sync completion $(1) >build/fanout/oa-sync.$(1) && \
	  $(SUDO) install -D -m 644 build/fanout/oa-sync.$(1) $(DESTDIR)$(PREFIX)/share/$(2)

# Files of an earlier build have other names: they go first.
install-console = console=$(DESTDIR)$(PREFIX)/share/oa-sync/console; $(SUDO) rm -rf "$$console"; \
	(cd build/console && find . -type f) | while read -r file; do \
	  $(SUDO) install -D -m 644 "build/console/$$file" "$$console/$$file"; done; echo "the console is in $$console"

$(PROTO_ES): proto/buf.gen.yaml proto/buf.yaml $(wildcard proto/openagents/sync/v1/*.proto) package-lock.json
	cd proto && ../node_modules/.bin/buf generate
	@touch $@

.PHONY: deb-deps
deb-deps:
	@scripts/deps.sh deb

.PHONY: deb
deb: deb-deps console ## Debian packages of the working tree: dist/*.deb (DEB_PG_MAJORS=15, DEB_REVISION=1)
	@VERSION=$(VERSION) JOBS=$(JOBS) scripts/deb.sh

##@ Testing
.PHONY: check-pgtap
check-pgtap: ## the extension's tests, in a private cluster
	node test/harness/run_pgtap.mjs

.PHONY: unit-tests
unit-tests:
	test -f build/unit/build.ninja || cmake -S test/unit -B build/unit -G Ninja
	ninja -C build/unit -j$(JOBS)

.PHONY: check-unit
check-unit: fanout unit-tests ## C++ unit tests of the fan-out and of the extension's parts that need no server
	ctest --test-dir build/fanout --output-on-failure -j$(JOBS)
	ctest --test-dir build/unit --output-on-failure -j$(JOBS)

.PHONY: check-wire
check-wire: $(PROTO_ES) ## the fan-out with the stock phoenix client and raw sockets
	timeout 1800 $(NODE_TEST) $(WIRE_TESTS)

.PHONY: check-sdk
check-sdk: sdk ## the TypeScript SDK, against real servers
	timeout 1800 npm test --silent -w @openagents/sync

.PHONY: check-terminal
check-terminal: fanout $(PROTO_ES) ## the terminal client, against real servers
	timeout 1800 $(NODE_TEST) $(sort $(wildcard test/terminal/*.test.mjs))

.PHONY: check-browser
check-browser: console fanout ## the console in Debian's Chromium
	timeout 1800 $(NODE_TEST) $(sort $(wildcard test/browser/*.test.mjs))

.PHONY: check-integration
check-integration: $(PROTO_ES) ## the oracle: parallel writers, crashes, every event exactly once
	timeout 1800 node --test --test-reporter=spec $(ORACLE_TESTS)
	timeout 1800 $(NODE_TEST) $(filter-out $(ORACLE_TESTS),$(INTEGRATION_TESTS))

.PHONY: check-chaos
check-chaos: fanout $(PROTO_ES) ## faults between hosts in network namespaces, a promoted standby, a rolling restart; takes root or sudo
	timeout 1800 node --test --test-reporter=spec --test-concurrency=1 $(sort $(wildcard test/chaos/*.test.mjs))

.PHONY: check-deb
check-deb: deb ## the packages in a clean Debian that boots: installation, docs/operations/packages.md, upgrade, removal; takes root or sudo
	$(SUDO) env "PATH=$$PATH" timeout 1800 node --test --test-reporter=spec test/packages/packages.test.mjs

# One tree for both: clang, whose fuzzing engine wants its own sanitizers.
.PHONY: asan-build
asan-build:
	test -f build/fanout-asan/build.ninja || cmake -S fanout -B build/fanout-asan -G Ninja -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS=-O1 -DOA_SYNC_SANITIZE=address -DOA_SYNC_FUZZ=ON
	ninja -C build/fanout-asan -j$(JOBS)

.PHONY: check-asan
check-asan: asan-build $(PROTO_ES) ## unit tests and a part of the wire tests under AddressSanitizer and UBSan
	ctest --test-dir build/fanout-asan --output-on-failure -j$(JOBS)
	OA_SYNC_FANOUT_BIN=$(CURDIR)/build/fanout-asan/oa-sync-fanout timeout 1800 $(NODE_TEST) $(ASAN_WIRE_TESTS)

.PHONY: check-fuzz
check-fuzz: asan-build ## every fuzzer for FUZZ_SECONDS (default 10), from its seeds, under AddressSanitizer and UBSan
	scripts/fuzz.sh $(FUZZ_SECONDS)

FUZZ_SECONDS ?= 10
SOAK_FUZZ_SECONDS ?= 600

.PHONY: soak
soak: deps all install $(PROTO_ES) ## everything against a ThreadSanitizer build, and a long run of the oracle
	$(call build-fanout,build/fanout-tsan,RelWithDebInfo,thread)
	TSAN_OPTIONS=suppressions=$(CURDIR)/fanout/test/tsan.supp ctest --test-dir build/fanout-tsan --output-on-failure -j$(JOBS)
	OA_SYNC_FANOUT_BIN=$(CURDIR)/build/fanout-tsan/oa-sync-fanout $(NODE_TEST) $(WIRE_TESTS)
	OA_SYNC_FANOUT_BIN=$(CURDIR)/build/fanout-tsan/oa-sync-fanout node test/soak/run.mjs
	OA_SYNC_FANOUT_BIN=$(CURDIR)/build/fanout-tsan/oa-sync-fanout node test/soak/sessions.mjs
	OA_SYNC_FANOUT_BIN=$(CURDIR)/build/fanout/oa-sync-fanout node test/soak/churn.mjs
	node test/soak/chaos.mjs
	$(MAKE) --no-print-directory asan-build
	scripts/fuzz.sh $(SOAK_FUZZ_SECONDS)

.PHONY: drill
drill: deps all install sdk $(PROTO_ES) ## play the cutover runbook on the demo system, some minutes; REPORT=docs keeps its report in docs/sync/status
	@node test/drill/run.mjs $(if $(REPORT),--report $(REPORT))

.PHONY: check-drill
check-drill: sdk $(PROTO_ES) ## the drill in its short form, and one whose gates are blind, which has to fail
	timeout 1800 node --test --test-reporter=spec test/drill/drill.test.mjs

.PHONY: bench
bench: deps all install $(PROTO_ES) ## measure; writes docs/benchmarks.md and the raw results (BENCH_ARGS='--help')
	@scripts/deps.sh bench
	node test/bench/run.mjs $(BENCH_ARGS)

##@ Keeping it tidy
.PHONY: lint
lint: deps all sdk unit-tests $(PROTO_ES) ## formatting, clang-tidy, cppcheck, types, proto, versions, links, what the pages show
	@VERSION=$(VERSION) scripts/lint.sh

.PHONY: format
format: ## format the C++ sources in place
	@scripts/sources.sh | xargs -r clang-format -i

.PHONY: db-schema
db-schema: ## write docs/DB_SCHEMA.md from the installed extension's catalog
	node scripts/db_schema.mjs --write

.PHONY: settings-doc
settings-doc: fanout ## write the fan-out's tables in docs/operations/settings.md from its definitions
	node scripts/settings_doc.mjs --write

.PHONY: dist
dist: ## a PGXN archive of HEAD: dist/oa_sync-VERSION.zip
	@VERSION=$(VERSION) scripts/dist.sh

.PHONY: clean
clean: ## remove what was built (node_modules stays)
	-$(MAKE) -C extension clean PG_CONFIG=$(PG_CONFIG) >/dev/null
	rm -rf build dist clients/typescript/dist clients/typescript/src/gen
