# `make` lists all targets. A change must pass `make test` and `make guard`. Both work in a fresh clone.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
# Stages run one after the other, so that the first failure is the last thing on the screen. Only the builds that they need run in
# parallel.
ifneq ($(MAKECMDGOALS),all-builds)
.NOTPARALLEL:
endif

PYTHON ?= python3
# The number of simulated worlds in which no announcement may be lost or repeated.
SIMULATION_SEEDS ?= 2000
VENV := .venv
TOOLS := $(VENV)/.installed
GUNGRAUN := $(VENV)/bin/gungraun-runner
CARGO_FUZZ := $(VENV)/bin/cargo-fuzz
CARGO_MUTANTS := $(VENV)/bin/cargo-mutants
CARGO_LLVM_COV := $(VENV)/bin/cargo-llvm-cov
# What `make mutants` passes to cargo-mutants, for example `--file src/digest/lines.rs`. Each of its jobs needs 3 GB of disk.
MUTANTS_ARGUMENTS ?=
MUTANTS_JOBS ?= 2
# For how long `make fuzz` runs each target, how many of them side by side, and which.
FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 1
FUZZ_TARGETS ?= $(sort $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))))
# Wheels only, so that nothing is compiled unexpectedly.
PIP := PIP_ONLY_BINARY=:all: $(VENV)/bin/pip --quiet --disable-pip-version-check
# The binary that is deployed, and the variable that tells the tests where it is.
BOOTSTRAP := target/lambda/media-expiry-alerts/bootstrap
DEPLOYED := FUNCTION_BINARY=$(BOOTSTRAP)
# For which architectures `make release-bundle` builds.
ARCHITECTURES ?= arm64 x86_64
CARGO_HOME ?= $(HOME)/.cargo
# Panics name source files, and a release must not name the folders of the machine that has built it. This is a setting because
# RUSTFLAGS would replace the flags of cargo-lambda, such as the processor.
WITHOUT_FOLDERS := --config 'build.rustflags=["--remap-path-prefix=$(CURDIR)=.", "--remap-path-prefix=$(CARGO_HOME)=cargo"]'
# Instruction counts and simulations use an optimized build, with the dependencies that the tests have built.
OPTIMIZED := --config .cargo/optimized.toml
# Where `make bench` builds and installs everything but the function.
BENCH := target/bench
DRIVER := --locked --manifest-path benches/Cargo.toml --target-dir target/bench/rust --profile driver --package side_by_side
# `make bench BENCH_ARGUMENTS=--quick` measures everything once, to see that it works.
BENCH_ARGUMENTS ?=
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# $(call stage,name,commands) prints the name, runs the commands, and prints how long they took.
define stage
@printf '\n=== %s\n' '$(1)' && SECONDS=0 && $(2) && printf '=== %s: %d s\n' '$(1)' "$$SECONDS"
endef

.PHONY: help
help: ## List all targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: test
test: builds unit integration stack browser ## Run every functional test

.PHONY: guard
guard: lint instructions simulation chaos size ## Run all other checks: of the source, and of size and speed

.PHONY: lint
lint: format clippy docs deny template ## Run the checks that run no code

# In parallel, because the release build ends with a long step on one core, and installing tools waits for the network.
.PHONY: builds
builds: ## Build and install everything that `make test` needs, in parallel
	$(call stage,builds and tools,$(MAKE) --jobs --no-print-directory all-builds)

.PHONY: all-builds
all-builds: release test-builds stack-tools browser-tools

.PHONY: test-builds
test-builds:
	$(call stage,test builds,cargo test --locked --no-run --tests --test tools --examples)

.PHONY: stack-tools
stack-tools:
	$(call stage,tools of the stack,tests/stack/run --install stack)

.PHONY: browser-tools
browser-tools:
	$(call stage,tools of the browser,tests/browser/run --install)

.PHONY: fmt
fmt: ## Format the code
	cargo fmt
	cargo fmt --all --manifest-path benches/Cargo.toml
	cargo fmt --manifest-path fuzz/Cargo.toml

.PHONY: demo
demo: ## Show the alerts with local stand-ins for all services
	cargo demo

.PHONY: format
format: ## Check the formatting
	$(call stage,formatting,cargo fmt --check && cargo fmt --check --all --manifest-path benches/Cargo.toml && \
		cargo fmt --check --manifest-path fuzz/Cargo.toml)

.PHONY: clippy
clippy: ## Run clippy over all targets and features
	$(call stage,clippy,cargo clippy --locked --all-targets --all-features -- -D warnings)
	$(call stage,clippy over the bench,cargo clippy --locked --manifest-path benches/Cargo.toml --target-dir $(BENCH)/rust \
		--all-targets -- -D warnings)

.PHONY: docs
docs: ## Build the documentation, including private items
	$(call stage,documentation,RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features --document-private-items)

.PHONY: deny
deny: $(TOOLS) ## Check the dependencies with the rules in deny.toml
	$(call stage,dependencies,cargo deny --locked check bans licenses sources)

.PHONY: template
template: ## Check template.yaml and the scripts with linters
	$(call stage,template,tests/stack/run test_linters.py)

.PHONY: unit
unit: $(TOOLS) release ## Run the tests that need nothing but Rust
	$(call stage,tests,$(DEPLOYED) cargo nextest run --locked --no-fail-fast && cargo test --quiet --locked --doc)

.PHONY: simulation
simulation: $(TOOLS) ## Run the ledger through SIMULATION_SEEDS simulated worlds
	$(call stage,simulation,SIMULATION_SEEDS=$(SIMULATION_SEEDS) cargo nextest run --locked $(OPTIMIZED) --no-fail-fast \
		--test simulation)

# Sanitizers need a nightly toolchain; without them, the stable one is enough. Without tracing comparisons, a target runs
# several times as many inputs. `cargo fuzz` cannot pass `--locked`.
.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Run each of FUZZ_TARGETS for FUZZ_SECONDS on inputs that libFuzzer makes up
	$(call stage,fuzz targets,cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null && \
		$(CARGO_FUZZ) build --sanitizer none --no-trace-compares --target-dir target/fuzz)
	$(call stage,fuzzing,tools/fuzz $(FUZZ_SECONDS) $(FUZZ_JOBS) $(FUZZ_TARGETS))

# Not a part of `clippy`, because it compiles libFuzzer and every dependency for this alone.
.PHONY: fuzz-lint
fuzz-lint: ## Run clippy over the fuzz targets
	$(call stage,clippy over the fuzz targets,cargo clippy --locked --manifest-path fuzz/Cargo.toml \
		--target-dir target/fuzz/clippy --bins -- -D warnings)

$(CARGO_FUZZ): | $(TOOLS)
	$(call stage,cargo fuzz,cargo install --quiet --debug --locked --root $(VENV) cargo-fuzz --version 0.13.2)

.PHONY: mutants
mutants: $(CARGO_MUTANTS) ## Change the pure code in every way that cargo-mutants knows, and see whether a test notices
	@mkdir -p target/mutants && rm -rf target/mutants/mutants.out*
	$(call stage,mutants,{ RUST_BACKTRACE=0 $(CARGO_MUTANTS) mutants --jobs $(MUTANTS_JOBS) --output target/mutants $(MUTANTS_ARGUMENTS) || \
		(( $$? == 2 || $$? == 3 )); } && $(PYTHON) tools/mutants.py target/mutants)

$(CARGO_MUTANTS): | $(TOOLS)
	$(call stage,cargo mutants,cargo install --quiet --debug --locked --root $(VENV) cargo-mutants --version 27.1.0)

.PHONY: coverage
coverage: $(CARGO_LLVM_COV) ## Show how much of the pure code the unit tests run
	$(call stage,coverage,tools/coverage)

$(CARGO_LLVM_COV): | $(TOOLS)
	$(call stage,cargo llvm-cov,cargo install --quiet --debug --locked --root $(VENV) cargo-llvm-cov --version 0.9.1)

.PHONY: instructions
instructions: $(GUNGRAUN) ## Count the instructions of the core, and fail if they exceed a recorded count by more than 5 %
	@command -v valgrind >/dev/null || tools/packages valgrind || { echo 'install valgrind first' >&2; exit 1; }
	$(call stage,instructions,cargo bench --locked --quiet --profile dev $(OPTIMIZED) --bench instructions)

# The runner must have the same version as the library. It only starts valgrind, so it need not be optimized.
$(GUNGRAUN): Cargo.lock | $(TOOLS)
	$(call stage,what counts instructions,cargo install --quiet --debug --locked --root $(VENV) gungraun-runner \
		--version "$$(sed -n '/^name = "gungraun"/{n;s/.*"\(.*\)"/\1/p}' Cargo.lock)" && touch $@)

.PHONY: size
size: release ## Compare the size of the deployed binary with its budget
	$(call stage,size,$(PYTHON) tools/size.py $(BOOTSTRAP))

.PHONY: release
release: $(TOOLS) ## Build the deployed binary, into target/lambda/
	$(call stage,release build,cargo lambda build --release --locked $(WITHOUT_FOLDERS))

.PHONY: release-bundle
release-bundle: $(TOOLS) ## Build the archive that users deploy without a compiler, for ARCHITECTURES
	$(call stage,release builds,for architecture in $(ARCHITECTURES); do \
		cargo lambda build --release --locked $(WITHOUT_FOLDERS) --lambda-dir target/release-bundle/$$architecture \
			--$${architecture/_/-}; done)
	$(call stage,release bundle,$(PYTHON) tools/bundle.py target/release-bundle/media-expiry-alerts-VERSION-aws.zip \
		$(foreach each,$(ARCHITECTURES),$(each)=target/release-bundle/$(each)/media-expiry-alerts/bootstrap))

.PHONY: integration
integration: $(TOOLS) release ## Run the tests that need cargo-lambda and moto
	$(call stage,tests with tools,$(DEPLOYED) cargo nextest run --locked --no-fail-fast --test tools)

.PHONY: stack
stack: release ## Test template.yaml and deploy.sh without an AWS account
	$(call stage,the stack,$(DEPLOYED) tests/stack/run --ignore=test_linters.py --ignore=test_chaos.py --numprocesses=3 --dist=worksteal)

.PHONY: chaos
chaos: release ## Let the release build live through 200 days of failures, with moto as AWS
	$(call stage,chaos,$(DEPLOYED) tests/stack/run test_chaos.py)

.PHONY: bench
bench: release bench-peers ## Compare the function with a bare handler, Python and Node
	$(call stage,the bench,$(BENCH)/rust/driver/side_by_side $(BENCH_ARGUMENTS))

# The peers and the program that measures them, all below target/bench/.
.PHONY: bench-peers
bench-peers: $(TOOLS) $(BENCH)/python/.installed $(BENCH)/node/handler.cjs
	$(call stage,the bare handler,CARGO_TARGET_DIR=$(CURDIR)/$(BENCH)/rust cargo lambda build --release --locked \
		--manifest-path benches/Cargo.toml --package floor --lambda-dir $(CURDIR)/$(BENCH)/lambda)
	$(call stage,what measures,cargo test --quiet $(DRIVER) && cargo build $(DRIVER))

$(BENCH)/python/.installed: tools/requirements-bench.txt tools/constraints-bench.txt
	$(call stage,the Python peer,$(PYTHON) -m venv $(BENCH)/python && PIP_ONLY_BINARY=:all: $(BENCH)/python/bin/pip --quiet \
		--disable-pip-version-check install -r tools/requirements-bench.txt -c tools/constraints-bench.txt && touch $@)

$(BENCH)/node/handler.cjs: $(wildcard benches/peers/node/*.json benches/peers/node/*.mjs)
	$(call stage,the Node peer,mkdir -p $(BENCH)/node && cp benches/peers/node/*.* benches/peers/node/.npmrc $(BENCH)/node/ && \
		npm --prefix $(BENCH)/node ci --silent && npm --prefix $(BENCH)/node run --silent bundle)

.PHONY: browser
browser: ## Open the report and the email in Chromium, and check every format with other libraries
	$(call stage,the report,tests/browser/run)

.PHONY: shots
shots: ## The same, with screenshots to look at in tests/browser/shots/
	$(call stage,the report,tests/browser/run --shots)

.PHONY: pictures
pictures: ## Create the pictures in docs/pictures/ from the demo
	cargo demo >/dev/null
	$(call stage,pictures,tests/browser/run pictures)

.PHONY: tools
tools: $(TOOLS) ## Install the tools of the gates into .venv/

$(TOOLS): tools/requirements.txt tools/constraints.txt
	$(call stage,tools,$(PYTHON) -m venv $(VENV) && \
		$(PIP) install -r tools/requirements.txt -c tools/constraints.txt && touch $@)

.PHONY: tools-update
tools-update: ## Update the pinned dependencies of tools/requirements.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -r tools/requirements.txt
	{ echo '# The dependencies of requirements.txt. Written by `make tools-update`.'; \
		$(VENV)/bin/pip freeze; } > tools/constraints.txt
	touch $(TOOLS)

.PHONY: bench-update
bench-update: ## Update the pinned dependencies of tools/requirements-bench.txt
	rm -rf $(BENCH)/python
	$(PYTHON) -m venv $(BENCH)/python
	$(BENCH)/python/bin/pip --quiet --disable-pip-version-check install -r tools/requirements-bench.txt
	{ echo '# The dependencies of requirements-bench.txt. Written by `make bench-update`.'; \
		$(BENCH)/python/bin/pip --disable-pip-version-check freeze; } > tools/constraints-bench.txt
	touch $(BENCH)/python/.installed
