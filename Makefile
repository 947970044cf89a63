# Needs make and Python 3.11 or newer; everything else is fetched into .venv.
#
#   make demo    the whole story on the local sandbox, in a minute
#   make test    every test, two at a time (PYTEST_ARGS="-k keyring" for some, -n0 for one at a time)
#   make check   lint, format, types, import directions
#   make bench   speed and races beside other libraries, written to docs/benchmarks.md
#   make kill-matrix  kill a renewal at every system call, and print what came of it
#   make model   the model test, longer; make soak: an hour of faults
#   make catalogue  write anew what twg says in each situation, to be read and reviewed
#   make reference  the reference of the audit record, out of its catalogues
#   make map     draw which part of the code imports which, out of its imports
#   make dependencies  the table of what is depended on, of pyproject.toml and what is installed
#   make man     the manual pages, out of the commands and the README's tables
#   make picture record the session that the README shows
#   make lock    pin the newest versions that pyproject.toml allows

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
PYTEST_ARGS ?=
# A file's tests stay in one process: those that crowd or time something do not meet each other.
PYTEST_WORKERS := --numprocesses=auto --maxprocesses=2 --dist=loadfile
RIG := tests/rigs/oidc_provider
INSTALLED := .venv/.installed
RIG_INSTALLED := $(RIG)/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help demo test check bench kill-matrix model soak reference map man dependencies picture catalogue lock clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(INSTALLED)
	.venv/bin/twg demo

# Without npm the tests that need the foreign server are skipped, and say so.
test: $(INSTALLED) $(if $(shell command -v npm),$(RIG_INSTALLED))
	.venv/bin/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

check: $(INSTALLED)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_architecture.py

bench: $(INSTALLED)
	.venv/bin/python -m tests.bench

kill-matrix: $(INSTALLED)
	.venv/bin/python -m pytest -q tests/refresh/test_kill_matrix.py tests/refresh/test_faults.py

model: $(INSTALLED)
	TWG_MODEL_EXAMPLES=5000 .venv/bin/python -m pytest -q tests/refresh/test_model.py

soak: $(INSTALLED)
	.venv/bin/python -m tests.refresh.soak 3600

catalogue: $(INSTALLED)
	TWG_CATALOGUE=write .venv/bin/python -m pytest -q tests/cli/catalogue

reference: $(INSTALLED)
	.venv/bin/python -m tests.docs.audit_catalogue

map: $(INSTALLED)
	.venv/bin/python -m tests.docs.architecture

dependencies: $(INSTALLED)
	.venv/bin/python -m tests.docs.dependencies

man: $(INSTALLED)
	.venv/bin/python -m tests.docs.man_pages

# Needs bash, gnome-keyring and dbus besides.
picture: $(INSTALLED)
	.venv/bin/python -m tests.recording

# uv makes the lock, so it cannot come out of it.
lock: $(INSTALLED)
	.venv/bin/python -m pip install --quiet uv
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --group dev --extra sandbox --extra mcp \
		--output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf .venv $(RIG)/node_modules build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(INSTALLED): pyproject.toml requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "No Python here: install Python 3.11 or newer."; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old: twg needs Python 3.11 or newer (make PYTHON=/path/to/it)."; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(RIG_INSTALLED): $(RIG)/package-lock.json
	npm ci --prefix $(RIG) --no-audit --no-fund --loglevel=error
	@touch $@
