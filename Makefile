# `make search`, `make test` and `make docs` do all their own set-up: they make .venv, install with constraints.txt, and run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.PHONY: search test lint docs clean
.DEFAULT_GOAL := search

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $(STAMP)

# what only tests and site need: pytest, ruff, mypy, Ray, sphinx
$(DEV): $(STAMP)
	$(INSTALL) '.[dev]'
	touch $(DEV)

# The main job: proxies propose RNN cells, untrained, and the cost of ten trainings decides (conf/experiment/
# ten_trainings.yaml says how, experiments/queries/results/report.md what it is worth). ARGS="seed=1 queries=14" changes
# it; ARGS="truth=table benchmark=mini_rnn pool=benchmark" trains nothing.
search: $(STAMP)
	$(BIN)/zeronas search experiment=ten_trainings executor.workers=2 $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

# The documentation site, in build/docs; a warning is an error. Its commands are run, and none of it needs the network.
docs: $(DEV)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --jobs auto --doctree-dir build/doctrees docs build/docs

clean:
	rm -rf $(VENV) build *.egg-info
