# Two commands do everything: `make chat` and `make test`. See README.md.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
UV = UV_LINK_MODE=copy $(BIN)/uv pip install --quiet --python $(BIN)/python

# The library that make fills and asks; override with CITEWISE_LIBRARY=DIR.
export CITEWISE_LIBRARY ?= $(CURDIR)/.library
export Q

.PHONY: help install chat ask test lint types eval gate bench bench-large bench-retrieval bench-page wheel pins clean

help:
	@echo "make chat        the web page on http://127.0.0.1:7860, with the sample papers"
	@echo "make ask Q=...   an answer in the terminal"
	@echo "make test        the whole test suite"
	@echo "make eval        measure answers on the 30 first questions"
	@echo "make bench       measure start-up, ingest and answers on this machine"
	@echo "                 (PAPERS=FILE: many papers too; STOCK=DIR: beside the model in 32 bits)"
	@echo "make bench-large LIBRARY=DIR    measure a large library that is filled already"
	@echo "make bench-page  measure the page: start, many askers at once, memory"

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) -r requirements.txt
	$(UV) --no-deps --editable .
	@touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(UV) -r requirements-test.txt
	@touch $@

install: $(VENV)/.installed

$(CITEWISE_LIBRARY)/papers.sqlite: | $(VENV)/.installed
	$(BIN)/citewise ingest --sample

chat: $(VENV)/.installed
	@$(BIN)/citewise chat --sample

ask: $(VENV)/.installed | $(CITEWISE_LIBRARY)/papers.sqlite
	@test -n "$$Q" || { echo 'Ask something: make ask Q="Which papers ...?"'; exit 2; }
	@$(BIN)/citewise ask -- "$$Q"

# A process for each core, for each fills memory too: four at most.
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

eval: $(VENV)/.installed
	$(BIN)/citewise eval first

gate: $(VENV)/.installed
	$(BIN)/citewise eval first --gate $(if $(LIBRARY),--library $(LIBRARY))
	$(BIN)/citewise eval questions --split dev --gate $(if $(LIBRARY),--library $(LIBRARY))

DATA ?= data
bench-retrieval: $(VENV)/.installed-test
	$(BIN)/python eval/bench_retrieval.py --data $(DATA)

bench: $(VENV)/.installed-test
	$(BIN)/python -m eval.bench $(if $(PAPERS),--papers $(PAPERS)) $(if $(STOCK),--stock-model $(STOCK)) $(if $(NOTE),--note "$(NOTE)")

bench-large: $(VENV)/.installed-test
	@test -n "$(LIBRARY)" || { echo "Name a filled library: make bench-large LIBRARY=DIR"; exit 2; }
	$(BIN)/python -m eval.bench_large $(LIBRARY) $(if $(LOG),--log $(LOG)) $(if $(NOTE),--note "$(NOTE)")

bench-page: $(VENV)/.installed-test
	$(BIN)/python eval/bench_page.py

wheel: $(VENV)/.installed
	rm -rf dist
	UV_LINK_MODE=copy $(BIN)/uv build --quiet --wheel --out-dir dist .

# Pins are plain name==version, without addresses of any package host.
pins:
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url \
	  --python-version 3.11 --universal pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url \
	  --python-version 3.11 --universal --extra test -c requirements.txt pyproject.toml \
	  -o requirements-test.txt

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
