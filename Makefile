# Everything a developer types. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# pytest keeps its rewritten tests compiled: without that each of its processes takes 20 s more.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
K ?=
LAB := tests/lab/run --out .lab

OPT := /opt/lvsguard

.PHONY: help venv deps check static test test-lab sim demo lab bench bench-failover bench-detection \
  bench-false-alarms dashboards pictures cast man clean \
  install-program install-director install-realserver

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/.installed  ## make .venv with lvsguard and the development tools

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3 venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "python3-venv is missing: installing it (apt-get, needs root)"; \
	  apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

deps:  ## install the Debian packages of the lab and the demo (only what is missing)
	@tests/lab/install-deps

static: venv
	@$(BIN)/ruff format --check --quiet . || { \
	  echo "not formatted: run $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@mkdir -p .lab
	@$(BIN)/lint-imports >.lab/imports.log 2>&1 || { cat .lab/imports.log; exit 1; }

check: static  ## the fast gate: format, lint, types, arrows, unit and property tests
	@LVSGUARD_FAST_GATE=1 $(BIN)/pytest -q -n 2 -m 'not slow' tests/unit tests/property

test: deps static  ## everything; kernel tests run on a kernel with IPVS (user-mode Linux if need be)
	@$(BIN)/python -m compileall -q lvsguard tests  # the guest can keep nothing compiled
	@$(BIN)/python -m tests.lab.suite

test-lab: deps venv  ## the kernel tests alone; make test-lab K=expr picks by name
	@LVSGUARD_REQUIRE_KERNEL=1 $(LAB) python -m pytest -q \
	  -m '(kernel or lab) and not without_ipvs' $(if $(K),-k '$(K)')

sim: venv  ## 1,000 simulated hours of VRRP elections (a quarter of an hour); make sim HOURS=n
	@$(BIN)/python -m tests.sim.sharing 10000
	@$(BIN)/python -m tests.sim.telling 10000
	@$(BIN)/python -m tests.sim.turns 10000
	@$(BIN)/python -m tests.sim --hours $(or $(HOURS),1000)

demo: deps venv  ## see it work, in about a minute: the seed network under lvsguard, live
	@echo "booting a kernel with IPVS ..."
	@LVSGUARD_DEMO_BEGUN=$$(date +%s.%N) $(LAB) --limit 300 python -m tests.lab.demo

lab: deps venv  ## a shell in the seed network, to try docs/tutorial.md in
	@echo "booting a kernel with IPVS ..."
	@$(LAB) --limit 36000 python -m tests.lab.playground

bench: deps venv  ## what probes, table reads and expositions cost beside their peers: some minutes
	@echo "== exposition, on this host"; $(BIN)/python -m tests.bench.exposition 1000 37000
	@echo "== scrape, on this host"; $(BIN)/python -m tests.bench.scrape
	@echo "== probe_cost, on this host"; $(BIN)/python -m tests.bench.probe_cost
	@echo "== detector_cost, on this host (as root)"; $(BIN)/python -m tests.bench.detector_cost
	@echo "== ipvs_dump, on a kernel with IPVS"; $(LAB) python -m tests.bench.ipvs_dump
	@echo "== probe_cost, on a kernel with IPVS"; $(LAB) python -m tests.bench.probe_cost --rates 500

bench-failover: deps venv  ## directors that fail, beside keepalived: half an hour; KILLS=n of them
	@echo "load of this host: $$(cut -d' ' -f1-3 /proc/loadavg), $$(nproc) CPUs"
	@$(BIN)/python -m compileall -q lvsguard tests  # the guest can keep nothing compiled
	@failed=0; \
	$(LAB) --limit 14400 python -m tests.bench.failover --kills $(or $(KILLS),20) || failed=1; \
	echo "== adverts at 10 ms, on this host's own kernel (as root)"; \
	$(BIN)/python -m tests.bench.vrrp_rest || failed=1; \
	echo "load of this host: $$(cut -d' ' -f1-3 /proc/loadavg)"; exit $$failed

bench-detection: deps venv  ## realservers that fail, beside keepalived: two hours; RUNS=n of each
	@echo "load of this host: $$(cut -d' ' -f1-3 /proc/loadavg), $$(nproc) CPUs"
	@$(BIN)/python -m compileall -q lvsguard tests  # the guest can keep nothing compiled
	@$(LAB) --limit 14400 python -m tests.bench.detection --runs $(or $(RUNS),100)

bench-false-alarms: deps venv  ## realservers that are well, in trouble that is none; MINUTES=n each
	@$(BIN)/python -m compileall -q lvsguard tests  # the guest can keep nothing compiled
	@$(LAB) --limit 21600 python -m tests.bench.false_alarms --minutes $(or $(MINUTES),5)

dashboards: venv  ## write grafana/dashboards anew; RUNBOOKS=URL where docs/runbooks is published
	@$(BIN)/python -m grafana.build $(if $(RUNBOOKS),--runbooks $(RUNBOOKS))

pictures: venv deps  ## draw docs/pictures anew, of a simulated day and of the status page: some minutes
	@$(BIN)/python -m tests.support.dashboard_pictures
	@$(BIN)/python -m tests.support.page_pictures

cast: venv  ## record docs/pictures/status-watch.cast anew, and the README's screens: a minute
	@$(BIN)/python -m tests.support.cast

man: venv  ## write the man pages to build/man
	@$(BIN)/python deploy/man/build.py build/man

install-program:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(OPT) || { echo "apt-get install python3-venv, then again" >&2; exit 1; }
	@case $$(readlink -f $(OPT)/bin/python) in /home/*|/root/*) \
	  echo "its service sees neither /home nor /root: take another PYTHON" >&2; exit 1;; esac
	@$(OPT)/bin/pip install -q --disable-pip-version-check .

install-director: install-program  ## install on this host as a director, into /opt/lvsguard
	@PYTHON=$(OPT)/bin/python deploy/install director

install-realserver: install-program  ## install on this host as a realserver, into /opt/lvsguard
	@PYTHON=$(OPT)/bin/python deploy/install realserver

clean:  ## remove what the targets made (.venv stays: rm -r .venv)
	@rm -rf .lab .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	  build dist *.egg-info
	@find lvsguard tests -name __pycache__ -type d -prune -exec rm -r {} +
