# Every check of the project; `make test` is what continuous integration runs.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# planners/ and trainers/ become parts of nnunet_sgdc only where setup.py has put them: types and imports are checked there.
BUILT := build/checked
ROOT := ../..

.PHONY: test test-slurm lint types imports tests format demo benchmark clean built

test: lint types imports tests

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: built
	cd $(BUILT) && $(ROOT)/$(BIN)/mypy -p nnunet_sgdc --config-file $(ROOT)/pyproject.toml --cache-dir $(ROOT)/.mypy_cache

imports: built
	cd $(BUILT) && $(ROOT)/$(BIN)/lint-imports --no-logo --config $(ROOT)/pyproject.toml --cache-dir $(ROOT)/.import_linter_cache

tests: $(READY)
	$(BIN)/pytest --durations=15

# Needs root and Debian's slurm-wlm, slurmdbd, munge and mariadb-server-core; `make tests` skips it where they are missing.
test-slurm: $(READY)
	$(BIN)/pytest -m slurm -rs

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

demo: $(READY)
	$(BIN)/nnunet_sgdc-demo

benchmark: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +

built: $(READY)
	rm -rf $(BUILT)
	$(BIN)/python setup.py --quiet build_py --build-lib $(BUILT)

$(READY): setup.py
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --editable '.[dev]'
	touch $@
