# Everything a person or CI does with this checkout. `make` alone prints what there is.
# PYTHON=/path/to/python3 chooses the interpreter; without it, python3 as PATH finds it.

.DEFAULT_GOAL := help
.NOTPARALLEL:
export PYTHON
# Where it is set, every command that a test starts would compile the whole package anew.
unexport PYTHONDONTWRITEBYTECODE

##@ Start

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "; print "Usage: make TARGET [PYTHON=/path/to/python3]"} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## From a bare machine to a running, bounded stack: installs what is missing, then shows it
	@scripts/demo.sh

##@ Check

.PHONY: test
test: ## Core, then the suite on the real engine
	@scripts/test.sh all

.PHONY: test-core
test-core: ## Only the tests that need no Docker engine
	@scripts/test.sh core

.PHONY: test-pythons
test-pythons: ## Core on every other supported Python found here
	@scripts/test.sh pythons

.PHONY: test-slow
test-slow: ## The tests marked slow
	@scripts/test.sh slow

.PHONY: test-swarm
test-swarm: ## Those of them that need a Swarm, on three nodes that it makes here
	@scripts/test.sh swarm

.PHONY: vm
vm: ## The tests in a guest machine: cgroup v2, systemd, reboots and power cuts
	@scripts/test.sh vm

.PHONY: vm-engine
vm-engine: ## Tests of the engine inside that guest machine (TESTS="tests/engine/test_events.py ...")
	@scripts/test.sh vm-engine

.PHONY: soak
soak: .venv-dev ## A supervisor over environments that come, break and go, for SOAK_SECONDS (600): it stays as it is
	@scripts/engine.sh
	@scripts/images.sh --test
	@SOAK_SECONDS=$${SOAK_SECONDS:-600} .venv-dev/bin/python -m pytest -s -m slow tests/soak

.PHONY: corpus
corpus: ## Every compose file below CORPUS=DIR through stackctl: bounded, and otherwise what it was
	@scripts/corpus.sh $(if $(CORPUS),"$(CORPUS)")

.PHONY: lint
lint: ## Style, types, layers, shell scripts, generated docs; changes nothing
	@scripts/lint.sh

.PHONY: bench
bench: ## Measure up, start-up and rendering on this machine
	@scripts/bench.sh

##@ Change

.PHONY: format
format: ## Rewrite Python and shell files in the house style
	@scripts/lint.sh --fix

.PHONY: docs
docs: .venv-dev ## Write again what is generated of README and docs/, then build the site, strictly, into site/
	@.venv-dev/bin/python scripts/docs.py
	@NO_MKDOCS_2_WARNING=1 .venv-dev/bin/mkdocs build --strict --quiet
	@echo "built site/index.html"

.PHONY: requirements
requirements: ## Resolve requirements/*.txt again from pyproject.toml (UPGRADE=1: to the newest)
	@scripts/requirements.sh $(if $(UPGRADE),--upgrade)

##@ Release

.PHONY: dist
dist: .venv-dev ## Build dist/ for any static host: wheel, bundle, SHA256SUMS, install.sh (BASE_URL=https://...)
	@scripts/dist.sh

.PHONY: image
image: .venv-dev ## Build an image with stackctl as its command, for a Swarm's agents (TAG=..., BASE=python:3.11-slim)
	@scripts/image.sh $(TAG)

.PHONY: serve
serve: ## Serve dist/ on loopback (PORT=N) and print the line that rehearses the installation
	@python3 scripts/serve.py dist $(PORT)

##@ Undo

.PHONY: clean
clean: ## Take down the demo's environment, remove what these targets made in this folder
	@scripts/clean.sh

.PHONY: .venv-dev
.venv-dev:
	@scripts/venv.sh --editable .venv-dev dev

STACKCTL := .venv-dev/bin/stackctl
stack-tool: .venv-dev
include stackctl.mk
