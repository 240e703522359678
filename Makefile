# Every target is one command a person could type; what it does stands in Python. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
TEST_PROCESSES ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup bootstrap tools run up down status demo test unit integration contract e2e fault year faults bench day capacity runbooks \
        lint types imports deps topology asyncapi openapi fuzz rules dashboards monitor-verify \
        manifests k8s compose compose-down docker-verify upgrade restore-drill compat
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv from the locked, hashed requirements
	@$(PYTHON) -m deploy.local.bootstrap venv

bootstrap: ## install PostgreSQL, Redis and RabbitMQ if they are missing
	@$(PYTHON) -m deploy.local.bootstrap servers

run: setup bootstrap ## start everything, make a paid call, stay until Ctrl-C
	@$(BIN)/python -m deploy.local run

up: setup bootstrap ## the same in the background; returns when all is ready
	@$(BIN)/python -m deploy.local up

down: setup ## drain and stop what `up` started
	@$(BIN)/python -m deploy.local down

status: setup ## what runs, and whether it is ready
	@$(BIN)/python -m deploy.local status

demo: setup ## one paid call on the running system
	@$(BIN)/python -m deploy.local demo

tools: setup ## install what only tests use: curl, Chromium, libfaketime
	@$(PYTHON) -m deploy.local.bootstrap tools

test: setup bootstrap tools lint types imports deps ## lint, types and every test, on private servers: all that CI runs
	@$(PYTEST) -rfEs -n $(TEST_PROCESSES) tests

unit: setup ## tests of rules and use cases: no sockets, no servers
	@$(PYTEST) tests/unit

integration: setup bootstrap ## tests on real servers
	@$(PYTEST) tests/integration

contract: setup bootstrap ## one suite for a port's double and the real thing; goldens; the house's own rules
	@$(PYTEST) tests/contract

e2e: setup bootstrap ## the whole system, from the outside
	@$(PYTEST) tests/e2e

fault: setup bootstrap ## everything is broken under load, in the short form
	@$(PYTEST) tests/fault

year: setup bootstrap ## a simulated year of subscriptions for 200 organizations (YEAR_ORGANIZATIONS, YEAR_DAYS, YEAR_SEED)
	@YEAR_ORGANIZATIONS=$${YEAR_ORGANIZATIONS:-200} $(PYTEST) -s tests/integration/billing/test_simulated_year.py

faults: setup bootstrap ## the long form: 200 faults, 100,000 calls; writes docs/reliability.md
	@$(BIN)/python -m tests.support.faults

upgrade: setup bootstrap ## a rolling upgrade under load, from a past commit to this tree (FROM=<commit>)
	@UPGRADE_FROM=$${FROM:?which commit? make upgrade FROM=<commit>} $(PYTEST) -rs tests/fault/test_rolling_upgrade.py -k past

restore-drill: setup bootstrap ## backup, loss and restore of the ledger to a moment, on real servers; then verify
	@$(PYTEST) -s tests/fault/test_restore_drill.py

compat: setup bootstrap ## the suites on other Pythons, PostgreSQLs and Valkey, as far as they are here (ARGS="--leg newest")
	@$(BIN)/python -m tests.support.compat $(ARGS)

bench: setup bootstrap ## Fangate beside a plain proxy and the bare upstream, and the ledger (ARGS="--soak 60")
	@$(BIN)/python -m tests.load $(ARGS)

day: setup bootstrap ## a day of 1,000 organizations, accelerated: queues, latencies, costs as a plot (DAY_ORGANIZATIONS, DAY_SECONDS, DAY_SEED)
	@$(BIN)/python -m tests.load.day

capacity: setup ## write the tables of docs/capacity.md anew, from the figures in deploy/capacity.py
	@$(BIN)/python -m deploy.capacity

runbooks: setup bootstrap ## follow the runbook's entries on a system of their own, under a real Prometheus (ARGS="--write")
	@$(BIN)/python -m deploy.tools prometheus
	@$(BIN)/python -m tests.support.runbooks $(ARGS)

lint: setup ## style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup ## static types, strict
	@$(BIN)/mypy

imports: setup ## who may import whom
	@$(BIN)/lint-imports --no-logo

deps: setup ## nothing unused, nothing undeclared
	@$(BIN)/deptry .

topology: setup ## write deploy/rabbitmq/definitions.json anew
	@$(BIN)/python -m libs.common.bus.topology > deploy/rabbitmq/definitions.json

asyncapi: setup ## write docs/asyncapi.json, the document of the bus, anew
	@$(BIN)/python -m libs.common.bus.asyncapi > docs/asyncapi.json

openapi: setup ## write docs/openapi/, the document of each surface, anew
	@$(BIN)/python -m services.edge.entry.openapi docs/openapi

fuzz: setup bootstrap ## generated requests against all documents (CASES=10000, FUZZ_SEED=…)
	@FUZZ_CASES=$${CASES:-10000} $(PYTEST) -s tests/e2e/test_documents_hold.py

rules: setup ## write deploy/monitoring/rules and prometheus.yaml anew
	@$(BIN)/python -m deploy.monitoring.rules
	@$(BIN)/python -m deploy.monitoring.scraping

dashboards: setup ## write deploy/monitoring/dashboards anew
	@$(BIN)/python -m deploy.monitoring.dashboards

monitor-verify: setup bootstrap ## rules and boards by Prometheus' own tools; a real Prometheus sees a worker die and come back
	@$(BIN)/python -m deploy.tools prometheus alertmanager
	@$(PYTEST) -rs tests/contract/deploy/test_monitoring.py tests/integration/deploy/test_prometheus.py

manifests: setup ## write the generated part of deploy/kubernetes anew, from deploy/system.py
	@$(BIN)/python -m deploy.kubernetes.manifests

k8s: setup ## the manifests, judged without a cluster: schemas, operators' resources, policies; planted mistakes are found
	@$(BIN)/python -m deploy.kubernetes.check
	@$(PYTEST) -rs tests/contract/deploy/test_manifests.py

compose: setup ## the whole system in containers on this machine's Docker, and a first paid call
	@$(BIN)/python -m deploy.compose up

compose-down: setup ## drain and remove those containers; their data stay
	@$(BIN)/python -m deploy.compose down

docker-verify: setup ## image and compose on a private Docker daemon, of which nothing is left (needs root; says why it cannot)
	@$(BIN)/python -m deploy.docker
