# Common developer tasks. They run in the active virtual environment, or else in .venv.
BIN := $(if $(VIRTUAL_ENV),$(VIRTUAL_ENV),$(CURDIR)/.venv)/bin

help: ## list the tasks
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

setup: ## make .venv, install everything, and the git hooks that check each commit
	python3 -m venv .venv
	.venv/bin/pip install --quiet -c requirements.lock -e '.[dev]'
	.venv/bin/pre-commit install

format: ## apply the linter's automatic fixes, and format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lint: ## run all checks of a commit on all files: linter, formatter, spelling, TOML, YAML and others
	PATH="$(BIN):$$PATH" $(BIN)/pre-commit run --all-files

types: ## check the types of the product, the test kits and the examples
	$(BIN)/mypy
	$(BIN)/mypy -p tests.bench -p tests.chaos -p tests.liars

contracts: ## check which modules may import which
	$(BIN)/lint-imports

rooms: ## print the figures of the import graph
	$(BIN)/python -m tests.support.rooms

schemas: ## write the published schemas into worker/guide/schemas
	$(BIN)/python -m worker.cli.write_schemas

test: ## run all tests except those that need RabbitMQ or a browser; about ten minutes
	$(BIN)/python -m pytest -n 4 --dist loadscope

test-unit: ## run the tests without IO
	$(BIN)/python -m pytest -q -n 4 tests/unit

test-examples: ## run the examples
	$(BIN)/python -m pytest -q tests/examples

test-lowest: ## run some tests with the lowest versions of the dependencies that pyproject.toml allows
	.ci/lowest

test-newest: ## run some tests on the newest Python on PATH or in pyenv; check the coverage of the core
	.ci/newest

demo: ## watch it work: embedded Redis, simulated backends, real workers
	$(BIN)/canceller demo

bench: ## measure the throughput; tests/bench measures more
	$(BIN)/python -m tests.bench.throughput

wheel: ## build the wheel into dist/ and try it out in an environment of its own
	.ci/wheel

lock: ## update requirements.lock to match pyproject.toml, with no other changes; needs uv
	uv pip compile --quiet --universal --extra dev --no-header --no-annotate -o requirements.lock pyproject.toml

.PHONY: help setup format lint types contracts rooms schemas test test-unit test-examples test-lowest test-newest demo bench wheel lock
