# The one entrance, for a person and for CI: `make help` lists the targets.
# Everything is made inside the checkout: packages in .venv/, Rust artefacts in target/.
# Another Python beside the first: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
CARGO ?= cargo
VENV ?= .venv
PORT ?= 8000
# The server that the tests start: redis-server, or the path of one that speaks the same (Valkey's).
REDIS_SERVER ?= redis-server
# Which parser `make fuzz` tries, and for how long.
TARGET ?= cache_control
FUZZ_SECONDS ?= 60

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BIN := $(VENV)/bin
# The interpreter pyo3 builds for, said once so that no two targets disagree and rebuild each other's work.
export PYO3_PYTHON := $(abspath $(BIN)/python)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export REDIS_SERVER CARGO

# The fuzz crate is a workspace of its own; what it shares with the other is built once.
FUZZ_ENV := CARGO_TARGET_DIR=$(abspath target)
# What users' type checkers make of the decorators; mypy checks everything.
TYPE_TESTS := tests/types_objects.py tests/types_values.py
RUST_FILES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name '*.lua' -o -name 'Cargo.toml')
# Stamps: the pinned packages are installed; the extension is built from these sources.
PACKAGES := $(VENV)/.packages
EXTENSION := $(VENV)/.extension
# The benchmark has an environment of its own, beside the first, for itself and for what is measured in its process.
# Peers that are servers have theirs below it, in peers/: bench/environments.py makes each when it is first measured.
BENCH_VENV := $(VENV)-bench
BENCH_PACKAGES := $(BENCH_VENV)/.packages

.PHONY: help demo serve build test test-rust test-python check check-rust check-python bench bench-full bench-guard bench-policy \
	fuzz conformance format lock clean prerequisites redis-server chromium valgrind

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(EXTENSION) ## start the product API, drive it over HTTP, print what the cache did
	@$(BIN)/python -m examples.products.demo

serve: $(EXTENSION) ## run the product API on http://127.0.0.1:8000 until stopped
	$(BIN)/python -m uvicorn examples.products.app:app --host 127.0.0.1 --port $(PORT)

build: $(EXTENSION) ## build the extension in place; .venv imports the package from python/

test: test-rust test-python ## every test

test-rust: $(PACKAGES) | redis-server
	$(CARGO) test --locked --workspace --exclude hotplate-python --features hotplate/redis
	$(FUZZ_ENV) $(CARGO) test --locked --quiet --manifest-path fuzz/Cargo.toml --test smoke

test-python: $(EXTENSION) | redis-server chromium
	$(BIN)/python -m pytest

check: check-rust check-python ## format, lints, types, documentation; warnings are errors

check-rust: $(PACKAGES)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --package hotplate --all-targets -- -D warnings
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(FUZZ_ENV) $(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --quiet

check-python: $(EXTENSION)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/stubtest --mypy-config-file pyproject.toml hotplate._core
	$(BIN)/pyright --pythonpath $(BIN)/python $(TYPE_TESTS)

bench: $(EXTENSION) $(BENCH_PACKAGES) | redis-server ## every section quickly, about 10 minutes, or some: make bench ONLY=http,values; in target/bench/
	@$(BENCH_VENV)/bin/python -m bench $(if $(ONLY),--only $(ONLY)) $(BENCH)

bench-full: $(EXTENSION) $(BENCH_PACKAGES) | redis-server valgrind ## the same for steady figures, about an hour; page, plots and JSON in bench/results/
	@$(BENCH_VENV)/bin/python -m bench --full $(if $(ONLY),--only $(ONLY)) $(BENCH)

bench-guard: prerequisites | valgrind ## instructions of the hit path and its parts, against bench/instructions.json; UPDATE=1 writes that anew
	@program=$$($(CARGO) build --locked --quiet --release --package hotplate-bench --bin instructions --message-format json \
		| sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p'); \
	$(PYTHON) -m bench.instructions "$$program" $(if $(UPDATE),--update)

bench-policy: prerequisites ## ns and allocations of a policy decision; a run is in bench/results/
	@$(CARGO) bench --locked --quiet --package hotplate-policy --bench decide

fuzz: prerequisites ## search for bytes that break a parser: make fuzz TARGET=vary FUZZ_SECONDS=60 (fuzz/README.md)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { printf 'fuzzing needs cargo-fuzz.\n  Install: cargo install cargo-fuzz\n' >&2; exit 1; }
	@rustc +nightly --version >/dev/null 2>&1 || { printf 'fuzzing needs a nightly compiler.\n  Install: rustup toolchain install nightly\n' >&2; exit 1; }
	$(FUZZ_ENV) $(CARGO) run --locked --quiet --manifest-path fuzz/Cargo.toml --example corpus -- fuzz/corpus
	$(CARGO) +nightly fuzz run --features libfuzzer --target-dir target/fuzz $(TARGET) -- -max_total_time=$(FUZZ_SECONDS) -timeout=5

conformance: $(EXTENSION) ## the public HTTP cache test suite against the middleware; needs Node.js (docs/conformance.md)
	@$(BIN)/python -m conformance

format: $(PACKAGES) ## rewrite the sources as `make check` wants them
	$(CARGO) fmt --all
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

lock: $(PACKAGES) ## renew the pinned versions in requirements/dev.txt from pyproject.toml
	$(BIN)/python -m pip install --quiet 'uv>=0.13,<1'
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-python-downloads --group dev \
		--custom-compile-command 'make lock' --output-file requirements/dev.txt

clean: ## remove everything that make made
	rm -rf $(VENV) $(BENCH_VENV) target dist .pytest_cache .mypy_cache .ruff_cache .hypothesis python/hotplate/*.so
	find python tests examples bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(PACKAGES): requirements/dev.txt | prerequisites
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements/dev.txt
	$(BIN)/python -c "import site; open(site.getsitepackages()[0] + '/hotplate.pth', 'w').write('$(abspath python)\n')"
	@touch $@

$(BENCH_PACKAGES): requirements/bench.txt | prerequisites
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --requirement requirements/bench.txt
	$(BENCH_VENV)/bin/python -c "import site; open(site.getsitepackages()[0] + '/hotplate.pth', 'w').write('$(abspath python)\n')"
	@touch $@

$(EXTENSION): $(PACKAGES) $(RUST_FILES) pyproject.toml | prerequisites
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --locked --quiet --skip-install
	@touch $@

prerequisites:
	@missing() { printf 'hotplate needs %s.\n  Install: %s\n' "$$1" "$$2" >&2; exit 1; }; \
	rust='curl https://sh.rustup.rs -sSf | sh   (or, with rustup: rustup update stable)'; \
	version=$$($(CARGO) --version 2>/dev/null | awk '{ print $$2 }') || true; \
	test -n "$$version" || missing 'Rust 1.95 or later (cargo is not on the PATH)' "$$rust"; \
	awk -v found="$$version" 'BEGIN { split(found, part, "."); exit !(part[1] > 1 || part[2] >= 95) }' \
		|| missing "Rust 1.95 or later (found $$version)" "$$rust"; \
	command -v cc >/dev/null || missing 'a C linker (cc)' 'apt-get install build-essential   (macOS: xcode-select --install)'; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
		|| missing 'Python 3.10 or later (as $(PYTHON); name another with PYTHON=…)' 'apt-get install python3   (macOS: brew install python)'; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| missing 'the venv module of $(PYTHON)' 'apt-get install python3-venv'

# The tests start servers of their own, on ports of their own: a service that the package starts on 6379 does not matter.
redis-server:
	@missing() { printf 'the tests need %s.\n  Install: apt-get install redis-server   (macOS: brew install redis)\n' "$$1" >&2; exit 1; }; \
	root=; test "$$(id -u)" = 0 || root='sudo -n'; \
	if test '$(REDIS_SERVER)' = redis-server && ! command -v redis-server >/dev/null && $$root apt-get --version >/dev/null 2>&1; then \
		printf 'installing redis-server, which the tests start\n'; \
		$$root env DEBIAN_FRONTEND=noninteractive bash -c \
			'apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server' >/dev/null || true; \
	fi; \
	command -v '$(REDIS_SERVER)' >/dev/null || missing 'redis-server 7.0 or later ($(REDIS_SERVER) is not on the PATH)'; \
	version=$$('$(REDIS_SERVER)' --version | sed -n 's/.* v=\([0-9.]*\) .*/\1/p') || true; \
	awk -v found="$$version" 'BEGIN { exit !(found + 0 >= 7) }' || missing "redis-server 7.0 or later (found $${version:-something else})"

# The tests of the admin page drive a real browser: Chromium, or what CHROMIUM names.
chromium:
	@found() { for name in $${CHROMIUM:-chromium chromium-browser google-chrome google-chrome-stable}; do \
		command -v "$$name" >/dev/null && return 0; done; return 1; }; \
	root=; test "$$(id -u)" = 0 || root='sudo -n'; \
	if test -z "$${CHROMIUM:-}" && ! found && $$root apt-get --version >/dev/null 2>&1; then \
		printf 'installing chromium, in which the tests open the admin page\n'; \
		$$root env DEBIAN_FRONTEND=noninteractive bash -c \
			'apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium' >/dev/null || true; \
	fi; \
	found || { printf 'the tests need Chromium (%s is not on the PATH).\n  Install: apt-get install chromium   (macOS: brew install --cask chromium)\n' \
		"$${CHROMIUM:-chromium}" >&2; exit 1; }

valgrind:
	@root=; test "$$(id -u)" = 0 || root='sudo -n'; \
	if ! command -v valgrind >/dev/null && $$root apt-get --version >/dev/null 2>&1; then \
		printf 'installing valgrind, which counts instructions\n'; \
		$$root env DEBIAN_FRONTEND=noninteractive bash -c \
			'apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind' >/dev/null || true; \
	fi; \
	command -v valgrind >/dev/null \
		|| { printf 'counting instructions needs valgrind.\n  Install: apt-get install valgrind   (Linux only)\n' >&2; exit 1; }
