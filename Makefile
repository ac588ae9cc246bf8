# Everything a person or the CI does here. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE # every process of a stack would compile what it imports
.PHONY: install demo demo-live test unit coverage check format docs lock chaos field stores kafka conformance clients package containers audit bench clean help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PACKAGES := api console models streamproc
PATHS := $(PACKAGES) tests benchmarks examples docs deploy
# Four processes more than there are cores: some always wait. JOBS=0 runs all in one.
JOBS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 4)))
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
# What most processes import is compiled once; else each of those that start together compiles it.
COMPILED := PIL _pytest aiokafka anyio av boto3 botocore click clickhouse_connect confluent_kafka faust httpcore httpx \
	hypothesis litestar mode msgspec numpy openvino polyfactory pydantic rich structlog textual uvicorn
UNIT := -m "not (chaos or cluster or stack or process or screen or network)"

install: $(STAMP) ## Make .venv from the hash-pinned locks; at once when nothing changed

$(STAMP): requirements.lock requirements-bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@echo "Installing the packages of requirements.lock into .venv: 2.4 GB on disk. The first time they are downloaded, which takes minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 0 $(PACKAGES)
	@python=$$PWD/$(BIN)/python; cd .venv/lib/python3*/site-packages && "$$python" -m compileall -q -j 0 $(COMPILED)
	@$(BIN)/python -m pytest --collect-only -q -n 0 >/dev/null || true # compiles the tests: else each process of a run does
	@touch $@

demo: install ## Process the bundled clip on an embedded stack and show its tracks
	@$(BIN)/framewire demo

demo-live: install ## Process a camera that shows the clip: ten seconds of live results
	@$(BIN)/python -m tests.live.demo

test: install ## Run all tests but the chaos runs and those of `make kafka`; ARGS="-k …" go to pytest
	$(PYTEST) -m "not (chaos or cluster)" $(ARGS)

unit: install ## Run what needs no engine, no network that ships, no process but the decoder's, no screen
	$(PYTEST) $(UNIT) $(ARGS)

coverage: install ## Run what `make unit` runs, and say which lines it does not reach
	$(PYTEST) $(UNIT) --cov --cov-report=term-missing:skip-covered $(ARGS)

check: install ## Lint, format, types, import directions
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix-only --quiet $(PATHS)
	$(BIN)/ruff format --quiet $(PATHS)

docs: install ## Build the documents and the API's reference into site/; a broken link is an error
	@test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	$(BIN)/uv pip sync --quiet --python .venv-docs/bin/python --require-hashes deploy/docs.lock
	$(BIN)/python deploy/docs/cli.py >docs/cli.md
	$(BIN)/python deploy/docs/reference.py >.venv-docs/reference.md
	.venv-docs/bin/mkdocs build --strict

lock: install ## Resolve pyproject.toml into requirements.lock and the image's locks anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		--extra embedded --group dev pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		--extra server --extra text-encoder --constraints requirements.lock pyproject.toml --output-file deploy/server.lock
	printf 'cyclonedx-bom\npip-audit\n' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
		--python-version 3.11 - --output-file deploy/audit.lock
	echo mkdocs-material | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
		--python-version 3.11 - --output-file deploy/docs.lock
	echo hatchling | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
		--python-version 3.11 --constraints requirements.lock - --output-file deploy/build.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		tests/clients/python/requirements.in --output-file tests/clients/python/requirements.lock

chaos: install ## Kill processes at random and check that no byte is lost
	$(BIN)/pytest -s -m chaos tests/chaos $(ARGS)

field: install ## Make many awkward videos and compare every way to their frames with a foreign decoder
	$(BIN)/python -m tests.field $(ARGS)

stores: install ## Run a whole stack on S3 servers of other people (builds some with Go)
	$(BIN)/python -m tests.stores $(ARGS)

kafka: install ## Test against a three-node Apache Kafka, whose brokers are killed
	$(BIN)/pytest -m cluster tests/kafka $(ARGS)

conformance: install ## Run the Durable Streams suite against the log (needs Node 20)
	$(BIN)/python -m tests.conformance

clients: install ## Drive other people's libraries through a faulty proxy (needs Node 20; Go, javac)
	$(BIN)/python -m tests.clients $(ARGS)

package: install ## Install the wheel alone into a new environment, and use its client there
	$(BIN)/python -m tests.package

containers: install ## Run compose.yaml's services in real containers (needs root, docker.io, debootstrap)
	$(BIN)/python -m tests.containers

audit: install ## Write the bill of materials, and ask the advisory databases about it
	@test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	$(BIN)/uv pip sync --quiet --python .venv-audit/bin/python --require-hashes deploy/audit.lock
	$(BIN)/python -m tests.audit .venv-audit/bin

bench: install ## Measure every figure that the documentation names
	$(BIN)/python -m benchmarks

clean: ## Remove caches and .venv, never data
	rm -rf .venv .venv-audit .venv-docs site .coverage .clients_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
	find $(PATHS) -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'
