# Two commands do everything, on a fresh Debian or Ubuntu too: `make demo` and `make test`.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.stamp
ACTIONLINT_VERSION := v1.7.12
SOURCES := bench scripts images entrypoint tests .ci Dockerfile
SCRIPTS = $(shell grep -rlIE --exclude-dir=__pycache__ --exclude-dir=node_modules '^\#!.*[ /](ba)?sh$$' $(SOURCES)) images/base/profile.sh
DOCKERFILES = $(shell find $(SOURCES) -name Dockerfile)

.PHONY: help demo demo-signup test test-cluster cluster soak bench lint format engine images images-agents reference picture clean

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1  \t/p' Makefile

demo: images ## fifty agents, fifty identities, against a local Ravi
	$(VENV)/bin/ravi-launch --local --count 50 --image ravi-agent-example --rm

demo-signup: images ## twenty agents sign up at a shop, each with its own two codes
	scripts/demo-signup

test: images images-agents ## every test, on a real engine
	scripts/tools
	scripts/harnesses
	$(VENV)/bin/pytest tests/unit --numprocesses 2 --dist loadfile
	$(VENV)/bin/pytest --ignore tests/unit

cluster: images ## a Kubernetes control plane and node on this machine, until scripts/cluster stop
	@scripts/cluster start --node

test-cluster: images ## the tests of Kubernetes alone, on such a cluster
	$(VENV)/bin/pytest tests/cluster

soak: images ## the large runs: half an hour
	$(VENV)/bin/pytest -m soak

bench: images ## measure what an identity costs, beside its rivals: bench/results.json, docs/performance.md
	scripts/tools
	$(VENV)/bin/python -m bench

lint: $(STAMP) $(VENV)/bin/actionlint ## ruff, mypy, import-linter, hadolint, shellcheck, actionlint, zizmor; the reference is current
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(VENV)/bin/hadolint $(DOCKERFILES)
	$(VENV)/bin/shellcheck $(SCRIPTS)
	$(VENV)/bin/actionlint
	$(VENV)/bin/zizmor --offline --quiet .github
	PYTHONPATH=scripts $(VENV)/bin/python -m reference --check

format: $(STAMP) ## format the code
	$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format .

engine: ## get a Docker engine that answers
	scripts/engine

images: engine $(STAMP) ## build the images
	scripts/images

images-agents: images ## build the images of Claude Code and Codex
	scripts/images agents

reference: $(STAMP) ## write docs/reference from the code
	PYTHONPATH=scripts $(VENV)/bin/python -m reference

picture: images ## draw docs/demo.svg from a real run
	$(VENV)/bin/python scripts/picture.py docs/demo.svg

clean: ## remove what the other targets made here
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(STAMP): requirements.lock pyproject.toml scripts/venv
	PYTHON="$(PYTHON)" scripts/venv $(VENV)
	touch $@

# Its PyPI package fetches a binary from elsewhere when it installs; Go's module proxy has it whole.
$(VENV)/bin/actionlint: $(STAMP)
	GOBIN="$(CURDIR)/$(VENV)/bin" scripts/go install \
		github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)
