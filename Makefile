# make demo    pictures of a walk by name, in runs/demo
# make test    units, conformance kit and command line, two at a time (JOBS=4: four); ARGS="-k expression" runs some
# make test-docs     every command of the guides, the site, the pictures of the catalogue, the studio in Chromium
# make test-hostile  the slow tests of files and plugins made to do harm
# make test-oldest   make test with the oldest versions that the packages allow, in .venv-oldest
# make lint    ruff and pyright; make format repairs what ruff can
# make bench   the benchmarks: costs and times, printed as tables; GENERATOR=rooms names another generator
# make docs    the site, in site/: open site/index.html
# make release  all distributions, built and checked; VERSION=0.2.0 also writes that version and cuts the changelog
# Each makes .venv first, and again only when a package's pyproject.toml or the list of versions has changed.
# PYTHON=python3.12 picks another Python, 3.11 or later.

PYTHON ?= python3
ARGS ?=
JOBS ?= $(if $(ARGS),0,2)
VERSION ?=
GENERATOR ?= rooms
VENV := .venv
BIN := $(VENV)/bin
PROJECTS := $(wildcard core/pyproject.toml plugins/*/pyproject.toml)
INSTALLED := $(VENV)/installed

.PHONY: demo test test-docs test-hostile test-oldest lint format bench docs release venv clean

demo: $(INSTALLED)
	$(BIN)/eigenwalk walk rooms --fix "rooms.part(sofa)" --vary "~rooms.part(sofa)" --seed 2 --steps 12 --stride 0.12 --paths 6 --out runs/demo
	@echo "The pictures are in runs/demo: strip.png, the film beside it, and report.html with all of it."

test: $(INSTALLED)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-docs: $(INSTALLED)
	$(BIN)/python -m pytest -m docs $(ARGS)

test-hostile: $(INSTALLED)
	$(BIN)/python -m pytest -m hostile $(ARGS)

test-oldest: $(INSTALLED)
	$(BIN)/python tools/oldest.py .venv-oldest
	.venv-oldest/bin/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	@set -e; $(BIN)/python benchmarks/cost.py; for file in passes quotient precision; do echo "== $$file"; $(BIN)/python benchmarks/$$file.py '$(GENERATOR)'; done

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

release: $(INSTALLED)
	$(BIN)/python tools/release.py $(if $(VERSION),--version $(VERSION))

venv: $(INSTALLED)

$(INSTALLED): constraints.txt requirements-test.txt requirements-docs.txt $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eigenwalk needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing into $(VENV); the first time this takes minutes, most of them PyTorch's."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-test.txt -r requirements-docs.txt $(addprefix -e ./,$(PROJECTS:/pyproject.toml=))
	@touch $@

clean:
	rm -rf $(VENV) .venv-oldest site .pytest_cache .ruff_cache .hypothesis
