PYTHON ?= python3

PIP := .venv/bin/python -m pip install --quiet --constraint tests/constraints.txt
# Jupyter does not start for root unless it is told to.
ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# Processes that share the tests, more than cores: those with a browser mostly wait for a page. With 0,
# the tests run one after another.
JOBS := 3

.PHONY: demo test test-all hosts works-with lint format address clean npm

demo: .venv/demo
	.venv/bin/jupyter lab $(ROOT) $(LAB) notebooks/quickstart.ipynb

test: MARKS := -m "not slow"
test test-all: lint
	cd js && npm test
	.venv/bin/python tests/chromium.py
	.venv/bin/python tests/html_manager.py
	.venv/bin/pytest -n $(JOBS) $(MARKS)

test-all: .venv/clusters hosts works-with
hosts: js/node_modules/.bin/vitest .venv/test
	.venv/bin/python tests/chromium.py
	.venv/bin/python tests/html_manager.py
	.venv/bin/python tests/hosts.py

works-with: .venv/test
	.venv/bin/python tests/works_with/loaders.py --write
	.venv/bin/python tests/works_with/optimizers.py --write
	.venv/bin/python tests/works_with/trackers.py

lint: js/node_modules/.bin/vitest .venv/test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy lrfinder_widget
	.venv/bin/lint-imports
	cd js && npm run lint && npm run typecheck

format: js/node_modules/.bin/vitest .venv/test
	.venv/bin/ruff check --fix
	.venv/bin/ruff format
	cd js && npm run format

address:
	$(PYTHON) scripts/address.py

clean:
	rm -rf .venv .hosts dist js/node_modules lrfinder_widget/static test-results tests/browser/screenshots
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache

# One environment; each extra that was installed into it leaves a stamp. Installing builds the JavaScript too.
.venv/%: pyproject.toml hatch_build.py tests/constraints.txt $(wildcard js/src/* js/*.json)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[$*]'
	touch $@

# Not the package manager's own record: the build leaves that too, without the tools.
js/node_modules/.bin/vitest: js/package-lock.json | npm
	cd js && npm ci
	touch $@

npm:
	@command -v npm >/dev/null || { echo "npm (Node 20 or newer) is needed to test the JavaScript; make demo does without." >&2; exit 1; }
