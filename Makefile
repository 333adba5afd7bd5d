# `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := uv==0.11.33
comma := ,
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

SHELL_SCRIPTS = $(shell grep -lsE '^\#!.*[ /](ba)?sh$$|^\# shellcheck shell=' .ci/* *.sh deploy/* deploy/bin/*)
# Without dotfiles, `dashboard` and `legacy`: what a newcomer reads first stays short.
TOP_LEVEL_ENTRIES = 28

# Where nothing keeps the compiled modules, each process of Airflow compiles all of them: seconds at every start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Every target that has a line of help.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\#.*/\1/p' $(MAKEFILE_LIST))

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

install: $(VENV)/.installed  ## create .venv with exactly what constraints.txt pins

# PIP_FIND_LINKS may name a folder with a CPU build of torch; uv does not read it by itself. Compiled here once: each of
# the processes that start side by side, of Airflow or of the tests, would compile the same modules.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Python 3.11 to 3.13 is needed, $(PYTHON) is %d.%d: make install PYTHON=python3.12" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@UV_FIND_LINKS="$${UV_FIND_LINKS:-$$(echo "$$PIP_FIND_LINKS" | tr ' ' ',')}" UV_LINK_MODE=copy \
		$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[observer,dev]'
	@touch $@

lint: install  ## ruff, mypy --strict, import-linter, shellcheck, and the number of entries at the top level
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck --external-sources $(SHELL_SCRIPTS)
	@entries=$$( (git ls-files 2>/dev/null || ls) | cut -d/ -f1 | sort -u | grep -cvE '^\.|^(dashboard|legacy)$$'); \
		echo "top level: $$entries entries, at most $(TOP_LEVEL_ENTRIES)"; [ $$entries -le $(TOP_LEVEL_ENTRIES) ]

format: install  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: install  ## let git run the quick checks before each commit (.pre-commit-config.yaml)
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type commit-msg

docs: install  ## the documentation as a site in site/, links checked, without network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open site/index.html, or: $(BIN)/python -m http.server --directory site"

# Tests of servers wait more than they compute: three workers keep two cores busy.
test: install  ## every test, on two cores within 12 minutes
	$(BIN)/python -m pytest -n 3 --at-most 720

test-fast: install  ## the tests that need neither Airflow's processes nor PostgreSQL nor seconds of computing, within one minute
	$(BIN)/python -m pytest -n 2 --at-most 60 -m "not slow"

coverage: install  ## every test, and the lines and branches that they run of each package of the product
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3
	$(BIN)/coverage combine --quiet
	$(BIN)/python -m lab.benchmarks.covered

cluster-test: install  ## two bays, Celery, PostgreSQL and Redis as separate hosts on this machine, and every fault (root, iproute2)
	$(BIN)/python -m pytest tests/lab/cluster -m "slow or not slow" $(ARGS)

demo: install  ## six slots of a simulated day through real Airflow (KEEP=1 leaves it up, OFF="C_4 D_7", PORT=)
	@$(BIN)/python -m lab.demo $(if $(KEEP),--keep) $(if $(OFF),--off '$(OFF)') $(if $(PORT),--port $(PORT)) $(ARGS)

load: install  ## capture against 12 to 1000 simulated cameras, beside what it replaces (ARGS=--help)
	@$(BIN)/python -m lab.benchmarks.load $(ARGS)

eval: install  ## how right fusion and the whole pipeline are, on yards never trained or tuned on (ARGS=--help)
	@$(BIN)/python -m lab.evaluation $(ARGS)

bench-inference: install  ## the warm models against slower ways and a cold task; with DEVICE=cuda: that device, step by step, beside the CPU
	@$(BIN)/python -m $(if $(DEVICE),lab.benchmarks.device --device $(DEVICE),lab.benchmarks.inference) $(ARGS)

backtest: install  ## run a stored day again, and compare with the live history (BAY= FROM= TO= PARAMS=file.yaml OUTPUT= ARGS=--json)
	@$(BIN)/python -m lab.backtest run $(BAY) --from '$(FROM)' --to '$(TO)' $(if $(PARAMS),--params $(PARAMS)) $(if $(OUTPUT),--output $(OUTPUT)) $(ARGS)

bench-history: install  ## a year of ten bays in its own PostgreSQL: how long each question takes (ARGS="--scale 0.1", --fill/--folder FOLDER)
	@$(BIN)/python -m lab.benchmarks.history $(ARGS)

fuzz: install  ## every reader of bytes under a coverage-guided fuzzer (ARGS="--seconds 1800", names of targets)
	@$(BIN)/python -m lab.fuzzing $(ARGS)

check-hostile: install  ## odd and hostile input stops itself alone: artifacts, cameras, 1000 bay files in Airflow, fuzzing (ARGS=--help)
	@$(BIN)/python -m lab.benchmarks.check_hostile $(ARGS)

check-slots: install  ## a slot holds what was seen then, nothing is lost: real Airflow, random losses (ARGS=--help)
	@$(BIN)/python -m lab.benchmarks.check_slots $(ARGS)

check-tools: install  ## the commands a person works with: every figure beside its bar (ARGS=--help)
	@$(BIN)/python -m lab.benchmarks.check_tools $(ARGS)

check-alerts: install  ## faults of a simulated yard: who is notified, of nothing else, once each (promtool, Alertmanager; ARGS=--help)
	@$(BIN)/python -m lab.benchmarks.check_alerts $(ARGS)

migration-demo: install  ## one bay from the old system to this one and back: every figure beside its bar (ARGS="--parts turns")
	@$(BIN)/python -m lab.migration $(ARGS)

bench-artifacts: install  ## artifacts of format 2 beside format 1: save, load, size
	@$(BIN)/python -m lab.benchmarks.artifacts $(ARGS)

bench-triggerer: install  ## a yard's captures in one triggerer: deadlines, loop lag, memory, captures a minute (ARGS="--bays 10 --waves 2": a short run)
	@$(BIN)/python -m lab.benchmarks.triggerer $(ARGS)

bench-pipeline: install  ## from slot to tracking result with Celery, before and after tuning, and Airflow's share of it
	@$(BIN)/python -m lab.benchmarks.pipeline $(ARGS)

eval-tracking: install  ## the tracker over simulated days, beside three others (ARGS="--seeds 1,2")
	@$(BIN)/python -m lab.evaluation.tracking_bench $(ARGS)

WEB := dashboard/web

$(WEB)/node_modules/.installed: $(WEB)/package.json
	@cd $(WEB) && npm install --silent && touch node_modules/.installed

web: $(WEB)/node_modules/.installed  ## build the dashboard's page into dashboard/static (Node 20 and npm)
	@cd $(WEB) && npm run --silent build

check-web: $(WEB)/node_modules/.installed  ## the page's own tests, and whether the committed bundle is what its sources build
	@cd $(WEB) && npx tsc --noEmit && npm test --silent
	@cd $(WEB) && npx vite build --logLevel error --outDir node_modules/.built && cmp node_modules/.built/dashboard.js ../static/dashboard.js

check-dashboard: install web  ## the dashboard in a real Chromium on a real Airflow: every figure beside its bar (ARGS=--help)
	@$(BIN)/python -m lab.benchmarks.dashboard $(ARGS)

image:  ## the image of every service (BASE_IMAGE=, PIP_CONFIG=; wheels of deploy/wheels/ come first): docs/deploy.md
	DOCKER_BUILDKIT=1 docker build --file deploy/Dockerfile --tag bay-observation:latest --tag bay-observation:$(VERSION) \
		$(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
		$(if $(PIP_CONFIG),--secret id=pip_conf$(comma)src=$(PIP_CONFIG)) $(if $(PIP_CERT),--secret id=ca_bundle$(comma)src=$(realpath $(PIP_CERT))) .

compose-test: install  ## build the image, start every profile in Docker, send batches through (root; ARGS=--help)
	@$(BIN)/python tests/compose/run.py $(ARGS)

clean:  ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage* data demo_output site
