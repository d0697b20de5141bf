# Everything a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
# Processes that the tests are shared by; the files of each stay together.
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test lint docs bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[examples,dev,docs,postgres,serve]'
	@# the peer of the curvature tests, without its torchvision: an index has builds of it that do not load beside every torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'curvlinops-for-pytorch>=3,<4'
	touch $(STAMP)

demo: install
	$(BIN)/relselect demo

test: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet relselect tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages under docs/ as a site in build/site; a dead link or an undocumented page is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@ls benchmarks/*.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
