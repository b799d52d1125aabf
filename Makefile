# `make demo` and `make test` go from a fresh machine to a result; everything lands in .venv, the cache and demo-output.
# A person's own pip settings (index, proxy, cache) apply everywhere.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
INSTALLED_DEV := $(VENV)/installed-dev
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

.PHONY: help demo serve test check samples bench bench-scale constraints clean

help:
	@echo 'make demo      environment, samples, the main job on a real chest CT; results in demo-output'
	@echo 'make serve     the page, at http://127.0.0.1:7860'
	@echo 'make test      environment, samples, checks, all tests'
	@echo 'make check     only the checks: format, lint, types, imports'
	@echo 'make samples   fetch every sample into the cache'
	@echo 'make bench     run the benchmarks'
	@echo 'make clean     remove the environment and what tools cached here'

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@echo 'installing into $(VENV): a few minutes the first time'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --editable .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	@$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'], sep='\n')" > $(VENV)/dev.txt
	@$(PIP_INSTALL) --requirement $(VENV)/dev.txt
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/readingroom demo

serve: $(INSTALLED)
	@$(BIN)/readingroom serve

samples: $(INSTALLED)
	@$(BIN)/readingroom samples get --all > /dev/null || echo 'samples are missing: tests marked samples will say so and be skipped'

check: $(INSTALLED_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(INSTALLED_DEV) samples check
	$(BIN)/python -m pytest

# The cache's place is a setting, so it is asked for. A million sentences take most of an hour to store: 'make bench-scale'.
CACHE = $(shell $(BIN)/python -c 'from agent.settings import Settings; print(Settings().cache_dir)')

bench: $(INSTALLED_DEV) samples
	@for name in startup orchestration hub segment registration drr radiomics train monai_bundle demo; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done
	@echo '== retrieval'; folder=$$(mktemp -d); \
	  $(BIN)/python benchmarks/retrieval.py --cache "$(CACHE)" --folder "$$folder" benchmarks/retrieval_last.jsonl; \
	  status=$$?; rm -rf "$$folder"; exit $$status
	@for name in export pacs page viewer; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

bench-scale: $(INSTALLED_DEV) samples
	@folder=$$(mktemp -d); $(BIN)/python benchmarks/retrieval_scale.py --cache "$(CACHE)" --folder "$$folder"; \
	  status=$$?; rm -rf "$$folder"; exit $$status

# Pins what is installed in a fresh environment; torch without its local part, so that each machine takes its own build.
constraints: $(INSTALLED_DEV)
	@$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
