# Every chore by one word; each sets up what it needs. `make help` lists them.
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3
PY := $(VENV)/bin/python
TESTS ?= tests
PORT ?= 8000

.PHONY: docs help demo test test-slow check web serve bench golden clean
help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

demo: $(VENV)/installed web ## build the chat page, fetch SmolLM2 once (93 MB), serve both, print the address
	$(PY) -m scripts.demo --port $(PORT)

test: $(VENV)/tests web ## every test but the slowest, those in Chromium too (TESTS=tests/compiler for some)
	scripts/system_packages.sh
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

test-slow: $(VENV)/tests ## the tests that take minutes each, which `make test` leaves out
	scripts/system_packages.sh
	$(PY) -m pip install -q -e ".[test,hosts]"
	$(PY) -m pytest -m minutes $(TESTS)

check: $(VENV)/tests ## lint, format, types and import direction: seconds
	$(PY) -m pytest -q tests/test_structure.py

web: $(VENV)/installed ## build the JavaScript package and the chat page
	$(PY) scripts/build_web.py --if-stale

bench: $(VENV)/installed web ## measure Fanlight and installed peers on this machine (BENCH='--only native ...'; bench/README.md)
	$(PY) -m bench run $(BENCH)

docs: $(VENV)/tests web ## build the documentation's site into build/site
	npm install --prefix scripts/typedoc --no-save --ignore-scripts --no-audit --no-fund
	$(PY) -m mkdocs build --quiet

clean: ## remove what was built
	rm -rf $(VENV) web/dist web/node_modules fanlight/assets build dist

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Fanlight needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q -e .
	touch $@

$(VENV)/tests: $(VENV)/installed
	$(PY) -m pip install -q -e ".[test]"
	touch $@
