PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo test check bench docs lock clean format engines

run: $(VENV)/.ready
	@$(BIN)/python -m cli.main run

demo: $(VENV)/.ready
	@$(BIN)/python -m cli.main demo

test: $(VENV)/.ready-dev
	@$(BIN)/python tests/services.py
	@$(BIN)/python -m pytest tests -n auto

check: $(VENV)/.ready-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
# In CI every test follows in `make test`.
ifndef CI
	@$(BIN)/python -m pytest tests -n auto -m "not slow and not browser"
endif

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m tests.bench.engine
	@$(BIN)/python -m tests.bench.acknowledgement

engines: $(VENV)/.ready-engines

docs: $(VENV)/.ready
	@$(BIN)/python -m fsm.diagram
	@$(BIN)/python -m observability.signals
	@$(BIN)/python deploy/observability/dashboards.py
	@$(BIN)/python deploy/observability/policies.py

format: $(VENV)/.ready-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The locks name every file by its hash; pip refuses anything else.
$(VENV)/.ready: requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what Prosa needs into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(BIN)/python" -m cli.main "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $(BIN)/prosa
	@chmod +x $(BIN)/prosa
	@touch $@

$(VENV)/.ready-engines: requirements-engines.lock $(VENV)/.ready
	@echo "Installing what the engines on Redis and Google Cloud need into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-engines.lock
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

lock: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet --extra celery --extra gcp -o requirements-engines.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet --extra celery --extra gcp --extra dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .prosa .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
