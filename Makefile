# Two commands do everything, set-up included: `make demo` draws Figure 4, `make test` runs the tests.
# They use the active virtual environment (venv or conda), or make one in .venv.
ENV := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX),$(CURDIR)/.venv)
PYTHON := $(ENV)/bin/python
READY := $(ENV)/.energylens-ready

# Real data and networks, where they lie beside the checkout; tests that need them skip otherwise.
ifneq ($(wildcard ../shared/data),)
export ENERGYLENS_DATA ?= $(abspath ../shared/data)
endif
ifneq ($(wildcard ../shared/zoo),)
export ENERGYLENS_ZOO ?= $(abspath ../shared/zoo)
endif

# One thread a process: two processes with two threads each crawl.
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto

.PHONY: demo test test-all lint docs zoo

demo: $(READY)
	$(PYTHON) -m energylens.figure fig4

test: $(READY)
	$(PYTEST)

test-all: $(READY)
	$(PYTEST) -m "slow or not slow"

lint: $(READY)
	$(PYTHON) -m pip install -q -e ".[lint]"
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

docs: $(READY)
	$(PYTHON) -m pip install -q -e ".[docs]"
	$(PYTHON) -m sphinx -W -q docs docs/_build/html
	@echo docs/_build/html/index.html

zoo: $(READY)
	$(PYTHON) -m energylens.models zoo --out energylens/models/zoo

$(READY): pyproject.toml
	test -x $(PYTHON) || python3 -m venv $(ENV)
	$(PYTHON) -m pip install -q -e ".[test]"
	touch $@
