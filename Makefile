# make demo    set up what is needed, then train a small network without and with multigrid and compare
# make test    set up what is needed, then run the tests, in JOBS processes (2)
# make coverage  the same, with the lines and branches that were run
#
# The environment is made in .venv, or in $MG_VENV, by scripts/setup_env.sh, and only when the requirements have changed.
# PYTHON=/path/to/python3.12 chooses the interpreter.

MG_VENV ?= .venv
BIN := $(MG_VENV)/bin
JOBS ?= 2

.PHONY: help env demo test coverage lint types dist clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

env:
	@scripts/setup_env.sh "$(MG_VENV)"

demo: env
	"$(BIN)/mg-basicsr" demo

# By files, in their order: those that take long come first. ARGS goes to pytest: make test ARGS='-m slow -k resume'
PYTEST = "$(BIN)/python" -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations=10

test: env
	$(PYTEST) $(ARGS)

coverage: env
	$(PYTEST) --cov --cov-report=term:skip-covered $(ARGS)

lint: env
	"$(BIN)/python" -m ruff check .

types: env
	"$(BIN)/python" -m mypy

# wheel and sdist in dist/; setuptools is in the environment already, so nothing is downloaded
dist: env
	rm -rf build dist
	"$(BIN)/python" -m build --no-isolation

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
