SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PATHS := PATH="$(CURDIR)/.venv/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/build" PYTHONPATH="$(CURDIR)/build"

.PHONY: help setup demo demo-clean test lint unit integration molecule e2e newest matrix bench

help: ## Say what can be made
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Install what is missing on this machine
	@scripts/setup packages venv engine

demo: setup ## Create a server, deploy to it under load, roll back: the whole product in one go
	@$(PATHS) .venv/bin/python scripts/demo.py

demo-clean: ## Remove all that the demo made
	@$(PATHS) .venv/bin/python scripts/demo.py --clean

test: lint unit integration molecule e2e newest ## Run every check and test

lint: ## Check style, types and documentation
	@scripts/setup packages venv
	@$(PATHS) scripts/lint

unit: ## Run the tests that need no host
	@scripts/setup packages venv
	@$(PATHS) .venv/bin/pytest -q -p no:ansible tests/unit

integration: setup ## Test the parts on real hosts in containers
	@scripts/setup router git_servers registry
	@$(PATHS) .venv/bin/pytest -q -p no:ansible tests/integration

molecule: setup ## Test the roles on a real systemd host
	@$(PATHS) scripts/molecule

e2e: setup ## Test the product from its commands to the bytes that it serves
	@$(PATHS) .venv/bin/pytest -q -p no:ansible tests/e2e

newest: setup ## Test on the newest Ansible and Python 3.13
	@scripts/matrix newest

matrix: setup ## Test on the newest Ansible and Python 3.13, and on the oldest Ansible
	@scripts/matrix

bench: setup ## Measure, and print tables
	@$(PATHS) .venv/bin/python tests/bench/run.py
