# Everything a newcomer types. Each target sets up what it needs, asks nothing, and is quick the second time.
.NOTPARALLEL:
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
LIGHT ?= .venv-light
DOCS ?= .venv-docs
SITE ?= build/site
WORKERS ?= 2
# One thread a worker: two workers that each take every core are slower than one.
export OMP_NUM_THREADS ?= 1
ONE_THREAD := OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST_OPTIONS ?=
EXTRAS ?=

.PHONY: help setup setup-base setup-dev setup-light setup-docs demo test test-light test-slow check check-page docs bench clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

setup:  ## make .venv with PyTorch for every recipe; EXTRAS="heif video" adds extras
	@python=$$(sh scripts/find-python) && PYTHONUTF8=1 "$$python" scripts/environment.py $(VENV) train $(EXTRAS)

setup-base:
	@python=$$(sh scripts/find-python) && PYTHONUTF8=1 "$$python" scripts/environment.py $(VENV)

setup-dev:  ## the same, with the tools of development
	@python=$$(sh scripts/find-python) && PYTHONUTF8=1 "$$python" scripts/environment.py $(VENV) train dev

setup-light:
	@python=$$(sh scripts/find-python) && PYTHONUTF8=1 "$$python" scripts/environment.py $(LIGHT) test

setup-docs:
	@python=$$(sh scripts/find-python) && PYTHONUTF8=1 "$$python" scripts/environment.py $(DOCS) docs

demo: setup-base  ## train, evaluate and predict on a built-in set, in seconds
	@echo "Running: $(VENV)/bin/lince demo"
	@env -u OMP_NUM_THREADS $(VENV)/bin/lince demo

test: setup-dev  ## all tests, then the same ones where PyTorch is not installed
	@echo "Tests, with everything installed:"
	@$(ONE_THREAD) $(VENV)/bin/python -m pytest -n $(WORKERS) $(PYTEST_OPTIONS)
	@$(MAKE) --no-print-directory test-light

test-light: setup-light  ## the tests of the base install, which holds no PyTorch
	@echo "Tests, with the base install alone (no PyTorch):"
	@if $(LIGHT)/bin/python -c "import torch" 2>/dev/null; then \
		echo "Found PyTorch in $(LIGHT), which must stay without it. Remove that folder and try again."; exit 1; fi
	@$(ONE_THREAD) $(LIGHT)/bin/python -m pytest -n $(WORKERS) $(PYTEST_OPTIONS)

test-slow: setup-dev  ## the tests that take minutes, those of changed packages first; MINUTES=45 ends them then
	@$(ONE_THREAD) $(VENV)/bin/python scripts/slow_tests.py --workers $(WORKERS) --minutes $(or $(MINUTES),600) $(PYTEST_OPTIONS)

check:  ## format, style, types, layers, catalogues, metrics, picture and tests
	@./check

check-page:  ## types of the studio's scripts, by tsc; says so where node is not installed
	@scripts/check-page

docs: setup-docs  ## the site of all pages and the reference, in build/site
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict --site-dir $(SITE)
	@$(DOCS)/bin/python scripts/check_site.py $(SITE)

bench: setup-dev  ## list the benchmarks; run one with: make bench NAME=decode
	@env -u OMP_NUM_THREADS $(VENV)/bin/python -m benchmarks $(NAME)

clean:  ## remove the environments and everything that can be made again (runs stay)
	rm -rf .venv .venv-light .venv-docs benchmarks/.venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .grimp_cache build dist
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
