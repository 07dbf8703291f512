# What people type here; `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
# With what tests, checks and docs need.
DEV_STAMP := $(VENV)/.set-up-dev
# uv reads no settings of pip, so it is told where pip looks for packages.
pip_setting = $$($(BIN)/python -m pip config get global.$(1) 2>/dev/null)
FROM = UV_FIND_LINKS="$${UV_FIND_LINKS-$(call pip_setting,find-links)}" UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$(call pip_setting,index-url)}"
# As app/cli/main.py does: more threads ruin each other where cores are shared.
export OMP_NUM_THREADS ?= $(shell $(PYTHON) -c 'from vtt_core.contract.cores import shared_cores; print(shared_cores())')
# Modules are compiled once, when they are first imported. Without this, each process would compile torch anew for 7 s.
unexport PYTHONDONTWRITEBYTECODE
# Two processes on two cores; the tests of one file stay together, because they share servers.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
COVERED := --cov=app --cov=worker --cov=vtt_core --cov=vtt_client --cov-report=
COVERAGE ?=
IMAGES ?=
NAMES ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up test test-slow browser check fix docs

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the environment in .venv, without what only tests need

setup-dev: $(DEV_STAMP) ## the same, with what tests, checks and docs need

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v in {(3, 11), (3, 12)} else "Python 3.11 or 3.12 is needed, %s is %d.%d; try: make setup PYTHON=python3.12" % (sys.executable, *v))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt uv
	$(FROM) $(BIN)/uv pip install --python $(BIN)/python --quiet -c constraints.txt -e '.[exports]'
	@touch $(STAMP)

$(DEV_STAMP): $(STAMP)
	$(FROM) $(BIN)/uv pip install --python $(BIN)/python --quiet -c constraints.txt -e '.[dev]'
	@touch $(DEV_STAMP)

demo: $(STAMP) ## the whole way once, on drawn images; IMAGES=folder-or-zip takes yours, NAMES=file.json their class names
	@$(BIN)/vtt demo $(if $(IMAGES),'$(IMAGES)') $(if $(NAMES),--names '$(NAMES)')

up: $(STAMP) ## run the service until Ctrl-C
	@$(BIN)/vtt up

test: check ## check, then the tests of all kinds that are quick
	@rm -f .coverage
	$(BIN)/python -m pytest $(PARALLEL) $(if $(COVERAGE),$(COVERED)) -m 'not slow'

browser: ## install Chromium for the tests of the pages, if there is none (as root on Debian or Ubuntu)
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null || { test "$$(id -u)" = 0 && command -v apt-get > /dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium > /dev/null; } \
		|| echo 'There is no Chromium, so the tests of the pages are left out. On Debian or Ubuntu: sudo apt-get install chromium'

test-slow: $(DEV_STAMP) browser ## the other tests, and their coverage (with that of make test, if it ran with COVERAGE=1)
	$(BIN)/python -m pytest $(PARALLEL) $(COVERED) --cov-append -m slow
	$(BIN)/coverage report --sort=cover --skip-covered

check: $(DEV_STAMP) ## format, lint, types, import rules, docs; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers auto
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture/test_docs.py

docs: $(DEV_STAMP) ## the documentation as a site, in site/
	$(BIN)/python -m docs.site.build

fix: $(DEV_STAMP) ## format, and repair what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
