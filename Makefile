# Linecard: `make run` is a call you can watch, `make test` is every test, `make lint` is every linter.
#
# Set-up happens by itself: a virtual environment in .venv, the packages of pyproject.toml from whatever index pip is
# configured for, and the Cython build. What the system lacks is installed with apt when root, and named otherwise.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CONFIG ?= config/linecard.yaml
BIN := .venv/bin
CYTHON := $(wildcard codecs_ext/*.pyx codecs_ext/*.pxd codecs_ext/*.h codecs_ext/*.pxi)

.PHONY: help setup run test fuzz interop-pipecat bench lint format docs clean

help:
	@echo 'make run      set up, start gateway and models, place a talking call (ONCE=1: end after it)'
	@echo 'make test     set up and run every test (ARGS="-k sip" for some)'
	@echo 'make fuzz     the parser, whole calls and the simulated network, fifty times as long as in CI (LINECARD_FUZZ=500: longer)'
	@echo 'make interop-pipecat  a real call with a bot made with Pipecat (half a gigabyte, in .venv-pipecat)'
	@echo 'make bench    the table of figures, with the ratio to the baseline (ARGS="--heavy" for all of it)'
	@echo 'make lint     formatting, lint, types, stubs, import floors'
	@echo 'make format   let ruff mend what it can'
	@echo 'make docs     regenerate docs/configuration.md and config/linecard.schema.json'
	@echo 'make clean    remove everything that was built'

setup: .venv/built

.venv/installed: pyproject.toml Makefile .ci/system
	@rm -f $@
	@python="$$(.ci/system)" && { [ -x $(BIN)/python ] || "$$python" -m venv --clear .venv; }
	@echo 'Installing the packages of pyproject.toml into .venv (about a minute) ...'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $$($(BIN)/python .ci/build-requires)
	@LINECARD_SKIP_BUILD=1 $(BIN)/python -m pip install -qq --disable-pip-version-check --no-build-isolation -e '.[dev]'
	@touch $@

.venv/built: .venv/installed setup.py $(CYTHON)
	@echo 'Building the Cython modules (about a minute from nothing) ...'
	@mkdir -p build && { $(BIN)/python setup.py -q build_ext --inplace >build/build.log 2>&1 || { cat build/build.log; exit 1; }; }
	@touch $@

run: setup
	@exec $(BIN)/linecard demo $(CONFIG) $(if $(filter-out 0,$(ONCE)),--once)

test: setup
	@.ci/system sipp openssl tshark baresip kamailio chromium ip nft >/dev/null
	@$(BIN)/python -m pytest -n 4 --dist loadgroup $(ARGS)

fuzz: setup
	@LINECARD_FUZZ=$${LINECARD_FUZZ:-50} $(BIN)/python -m pytest -n 2 tests/fuzz tests/sim $(ARGS)

interop-pipecat: setup .venv-pipecat/installed
	@LINECARD_PIPECAT_PYTHON=$(CURDIR)/.venv-pipecat/bin/python $(BIN)/python -m pytest tests/interop/pipecat $(ARGS)

.venv-pipecat/installed:
	@$(BIN)/python -m venv --clear .venv-pipecat
	@.venv-pipecat/bin/python -m pip install -qq --disable-pip-version-check 'pipecat-ai>=1.14,<2'
	@touch $@

lint: setup
	@.ci/lint

bench: setup
	@$(BIN)/python benchmarks/run.py $(ARGS)

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup
	@$(BIN)/python -m gateway.config.reference

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find gateway codecs_ext tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	rm -f codecs_ext/*.so codecs_ext/*.c
