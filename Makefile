# make demo    run the example agent in replay: no key, no network; prints its scores, writes a report
# make test    run the suite, but for the tests marked slow
# make test-all   run the slow ones too, as CI does
# make lint    ruff, mypy, pyright
# make check   lint and test-all: what a change must pass
# make docs     build the site into site/, strictly: every link and every docstring
# make coverage   all tests with branch coverage, at least 97 %
# make bench   time each part beside its floor, into docs/performance.md
# make bench-peers   the same beside other libraries, each in an environment of its own (300 MB)
# make clean   remove what the targets made
#
# Needs Python 3.11 or newer and make. Everything is installed into .venv; a second run installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
REPORT := looplet-report.json

# Tests start many Pythons; without compiled files each would compile the packages again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all lint check docs coverage bench bench-peers clean help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(VENV)/.demo
	$(BIN)/python -m pytest examples/support_agent --looplet-report=$(REPORT) -p no:asyncio -p no:benchmark
	@echo "report: $(REPORT)"

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n auto -m "not slow"

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n auto

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/pyright

check: lint docs test-all

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs --quiet build --strict --site-dir site

# What tests start is measured too: `patch` in pyproject.toml. The report decides, so that it is seen when it fails.
coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -q -n auto --cov --cov-branch --cov-report= --cov-fail-under=0
	$(BIN)/coverage report

bench: $(VENV)/.dev
	$(BIN)/python -m pytest -q -p benchmark tests/benchmarks/bench_*.py --benchmark-json=$(VENV)/bench.json
	$(BIN)/python tests/benchmarks/table.py $(VENV)/bench.json docs/performance.md

bench-peers: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/peers/compare.py --page docs/performance.md

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[openai]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov .coverage* looplet-report.*
