# Each target is one line calling one command; `make setup` makes .venv with pip and venv alone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Many tests wait, for processes to start and to be killed: one more than there are processors.
TESTERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := $(BIN)/python -m pytest -n $(TESTERS) --dist loadgroup --no-loadscope-reorder -m "not long"

# Compiled modules are kept, whatever the surroundings say: a run starts a hundred processes that import the same.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test coverage test-long test-clients check bench definitions profiles clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

setup: $(VENV)/.dev ## everything for development

$(VENV)/.embedded $(VENV)/.dev: $(VENV)/.%: pyproject.toml constraints.txt tools/setup.sh
	@sh tools/setup.sh "$(PYTHON)" "$(VENV)" $*

demo: $(VENV)/.embedded ## the whole story on a real database; ARGS=--check runs it once and exits 0 or 1
	@$(BIN)/fhir-server demo $(ARGS)

serve: $(VENV)/.embedded ## a development server on 127.0.0.1:8000, data in ./data
	@$(BIN)/fhir-server serve --dev --data data $(ARGS)

test: setup ## all tests
	@$(PYTEST) $(ARGS)

coverage: setup ## the same, with a table of the lines no test reaches (two to three times as slow)
	@$(PYTEST) --cov --cov-report=term:skip-covered $(ARGS)

test-long: setup ## the volumes named in the issues, whole
	@$(BIN)/python -m pytest -m long --timeout 1800 --volumes=docs/volumes.md $(ARGS)

test-clients: setup ## every FHIR client from PyPI and npm against a live server
	@sh tools/clients.sh "$(VENV)" $(ARGS)

check: setup ## lint, types, import directions
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: setup ## CPU-milliseconds per request, into docs/benchmarks.md
	@$(BIN)/python -m benchmarks $(ARGS)

definitions: setup ## regenerate the R4 tables from the official package
	@$(BIN)/python -m tools.definitions $(ARGS)

profiles: setup ## regenerate the tables of guides and the snapshots of our own profiles
	@$(BIN)/python -m tools.profiles $(ARGS)

clean: ## remove what setup and the demo made
	@rm -rf $(VENV) demo-data
