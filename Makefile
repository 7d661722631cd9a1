# make env            make the environment, or bring it up to date
# make demo           train a small network without and with multigrid, and compare
# make test           run the tests, in JOBS processes (2)
# make test-unit      run the unit tests alone
# make test-one       run one file, folder or test: make test-one T=tests/unit/schedule/test_lr.py
# make docs           build the documents as a site, in site/
# make docs-check     check that the documents name what there is: modules, keys, commands, options files
# make examples       run the examples
# make coverage       run the tests, and report the lines and branches that they run
# make lint           check style and format
# make format         put files into the format, and correct what can be corrected by itself
# make types          check the types
# make hooks          let git check each commit (lint) and each push (types)
# make pictures       draw the pictures of the documents again
# make dist           build wheel and sdist in dist/, and check them
# make release        make a release: make release V=0.2.0
# make clean          remove builds and caches
#
# The environment is made in .venv, or in $MG_VENV, by scripts/setup_env.sh, and only when the requirements have changed.
# PYTHON=/path/to/python3.14 chooses the interpreter. ARGS goes to pytest: make test ARGS='-m slow -k resume'

MG_VENV ?= .venv
BIN := $(MG_VENV)/bin
JOBS ?= 2

.PHONY: help env demo test test-unit test-one docs docs-check examples coverage lint format types hooks
.PHONY: pictures dist release clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

env:
	@scripts/setup_env.sh "$(MG_VENV)"

demo: env
	"$(BIN)/mg-basicsr" demo

# By files, in their order: those that take long come first.
PYTEST = "$(BIN)/python" -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations=10

test: env
	$(PYTEST) $(ARGS)

test-unit: env
	$(PYTEST) tests/unit $(ARGS)

test-one: env
	"$(BIN)/python" -m pytest $(or $(T),$(error say which: make test-one T=tests/unit/schedule)) $(ARGS)

docs: env
	NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build --strict

docs-check: env
	"$(BIN)/python" -m pytest tests/unit/test_contributing.py tests/unit/test_documents.py \
	    tests/unit/test_docstrings.py tests/unit/test_options_files.py tests/unit/config/test_options_document.py \
	    tests/unit/test_site.py tests/unit/test_snippets.py $(ARGS)

examples: env
	"$(BIN)/python" -m pytest tests/integration/test_examples.py tests/unit/config/presets/test_outside_presets.py $(ARGS)

coverage: env
	$(PYTEST) --cov --cov-report=term:skip-covered $(ARGS)

lint: env
	"$(BIN)/python" -m ruff check .
	"$(BIN)/python" -m ruff format --check .

format: env
	"$(BIN)/python" -m ruff check --fix .
	"$(BIN)/python" -m ruff format .

types: env
	"$(BIN)/python" -m mypy

hooks: env
	"$(BIN)/python" -m pre_commit install

PLOT = "$(BIN)/mg-basicsr" plan --plot docs

pictures: env
	"$(BIN)/python" scripts/draw_architecture.py docs/architecture.png
	$(PLOT)/plan_lin2022.png -opt options/train_BasicVSR_REDS_lin2022.yml
	$(PLOT)/plan_lin2022_inverse.png -opt options/train_BasicVSR_REDS_lin2022.yml --force_yml multigrid:batch_growth=inverse
	$(PLOT)/plan_wu2020.png -opt options/train_BasicVSR_REDS_wu2020.yml
	$(PLOT)/plan_progressive.png -opt options/train_MSRResNet_x4_DIV2K_progressive.yml

# setuptools is in the environment already, so nothing is downloaded
dist: env
	rm -rf build dist
	"$(BIN)/python" -m build --no-isolation
	"$(BIN)/python" -m twine check --strict dist/*
	"$(BIN)/pyroma" --min=8 --quiet .

release: env
	"$(BIN)/python" scripts/release.py $(or $(V),$(error say which: make release V=0.2.0))

clean:
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .coverage *.egg-info
