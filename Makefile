# Each target makes .venv itself when it is missing or older than the dependencies.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-slow test-image bench lint docs dist clean

demo: $(READY)
	$(BIN)/fer-prep build --dataset sample --out $(DEMO)/shards
	$(BIN)/fer-train $(DEMO)/shards --fold 1 --preset small --out $(DEMO)/runs --overwrite
	$(BIN)/python tools/demo_picture.py $(DEMO)

# several processes, each with whole files of tests, for their fixtures; more than four rarely pay
test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow --ignore tests/image

# builds both images of docker/Dockerfile and runs them; as root, with buildah and debootstrap installed
test-image: $(READY)
	$(BIN)/python -m pytest -m 'slow or not slow' tests/image

bench: $(READY)
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the theme's notice on MkDocs 2 is switched off: constraints.txt has the one that it works with
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# the wheel is built of what is in the source distribution, so that this one is whole
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) $(DEMO) site build dist *.egg-info

# of fer_prep/__init__.py comes the version
$(READY): pyproject.toml constraints.txt fer_prep/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make: $(PYTHON) is $$($(PYTHON) --version); Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[prep,train,export,docs,dev]'
	@touch $@
