# Two commands do everything, on a fresh Debian or Ubuntu too: `make demo` and `make test`.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.stamp
DOCS_VENV := $(VENV)/docs
PYTHON_VERSION ?= 3.13
ACTIONLINT_VERSION := v1.7.12
SOURCES := bench scripts images entrypoint tests .ci Dockerfile
SCRIPTS = $(shell grep -rlIE --exclude-dir=__pycache__ --exclude-dir=node_modules '^\#!.*[ /](ba)?sh$$' $(SOURCES)) images/base/profile.sh
DOCKERFILES = $(shell find $(SOURCES) -name Dockerfile)

.PHONY: help demo demo-signup test test-cluster cluster scale-cluster soak bench lint format docs engine images images-agents reproducible dist release-check release-images release-push release-notes reference picture clean

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1  \t/p' Makefile

demo: engine $(STAMP) ## fifty agents, fifty identities, against a local Ravi
	@scripts/demo

demo-signup: engine $(STAMP) ## twenty agents sign up at a shop, each with its own two codes
	@scripts/images-if-changed
	scripts/demo-signup

test: images images-agents ## every test, on a real engine
	scripts/tools
	scripts/harnesses
	$(VENV)/bin/pytest tests/harnesses tests/unit --numprocesses 2 --dist loadfile
	$(VENV)/bin/pytest --ignore tests/harnesses --ignore tests/unit

cluster: images ## a Kubernetes control plane and node on this machine, until scripts/cluster stop
	@scripts/cluster start --node

test-cluster: images ## the tests of Kubernetes alone, on such a cluster
	$(VENV)/bin/pytest tests/cluster

.PHONY: test-unit built test-built test-podman coverage mutation
test-unit: $(STAMP) ## the unit tests alone
	$(VENV)/bin/pytest tests/unit --numprocesses 2 --dist loadfile

built: images images-agents ## put the wheel and the images into build/built
	scripts/built

test-built: engine $(STAMP) ## all but the unit tests, on the wheel and the images in build/built
	scripts/tools
	scripts/harnesses
	scripts/test-built

test-podman: images ## the tests of podman and of its pods
	$(VENV)/bin/pytest tests/pods tests/engine/test_podman.py

coverage: $(STAMP) ## what of the container half the unit tests run, their processes included
	scripts/coverage

mutation: $(STAMP) ## how many small changes of what decides over identities the tests see: an hour
	$(VENV)/bin/python scripts/mutation.py

soak: images ## the large runs: half an hour
	$(VENV)/bin/pytest -m soak

bench: images ## measure what an identity costs, beside its rivals: bench/results.json, docs/performance.md
	scripts/tools
	$(VENV)/bin/python -m bench

scale-cluster: $(STAMP) ## measure runs of up to 10,000 agents on Kubernetes: bench/scale/results.json, docs/scale.md
	$(VENV)/bin/python -m bench.scale

lint: $(STAMP) $(VENV)/bin/actionlint docs ## ruff, mypy, import-linter, hadolint, shellcheck, actionlint, zizmor, codespell, licences, pip-audit; the reference is current
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(VENV)/bin/hadolint $(DOCKERFILES)
	$(VENV)/bin/shellcheck $(SCRIPTS)
	$(VENV)/bin/actionlint
	$(VENV)/bin/zizmor --offline --quiet .github
	PYTHONPATH=scripts $(VENV)/bin/python -m reference --check
	$(VENV)/bin/codespell $(SOURCES) docs .github *.md Makefile pyproject.toml
	$(VENV)/bin/python scripts/licences.py
	$(VENV)/bin/python scripts/audit.py

format: $(STAMP) ## format the code
	$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format .

engine: ## get a Docker engine that answers
	scripts/engine

images: engine $(STAMP) ## build the images
	scripts/images

images-agents: images ## build the images of Claude Code and Codex
	scripts/images agents

reproducible: images ## build each published image twice, and compare every byte
	PYTHONPATH=scripts $(VENV)/bin/python -m release reproducible

.PHONY: docs
docs: $(DOCS_VENV)/.stamp ## build the documents as a site: build/site
	@# Not --quiet: it does not count warnings then, and is not strict.
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build

dist: $(STAMP) ## build the wheel and the sdist
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(VENV)/bin/python -m hatchling build --directory dist

release-images: engine $(STAMP) ## build and check the images of PYTHON_VERSION for this machine's architecture
	scripts/release-tools skopeo
	PYTHONPATH=scripts:tests $(VENV)/bin/python -m release images --python $(PYTHON_VERSION) $(if $(BASE_IMAGE),--base $(BASE_IMAGE))

release-push: $(STAMP) ## push what release-images has made to REGISTRY, once it is there for both architectures
	scripts/release-tools skopeo
	PYTHONPATH=scripts:tests $(VENV)/bin/python -m release push $(REGISTRY)

release-notes: $(STAMP) ## write the page of the release TAG: the changelog's section, and tables
	PYTHONPATH=scripts:tests $(VENV)/bin/python -m release notes $(TAG)

release-check: engine $(STAMP) ## all of a release but the upload, for two architectures: an hour
	scripts/release-tools
	PYTHONPATH=scripts:tests RAVI_TEST_PATIENCE=6 $(VENV)/bin/python -m release check

reference: $(STAMP) ## write docs/reference from the code
	PYTHONPATH=scripts $(VENV)/bin/python -m reference

picture: images ## draw docs/demo.svg and docs/live.svg from real runs
	$(VENV)/bin/python scripts/picture.py demo docs/demo.svg
	$(VENV)/bin/python scripts/picture.py live docs/live.svg

clean: ## remove what the other targets made here
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(STAMP): requirements.lock pyproject.toml scripts/venv
	PYTHON="$(PYTHON)" scripts/venv $(VENV)
	touch $@

$(DOCS_VENV)/.stamp: scripts/site/requirements.lock $(STAMP)
	$(VENV)/bin/python -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement scripts/site/requirements.lock
	touch $@

# Its PyPI package fetches a binary from elsewhere when it installs; Go's module proxy has it whole.
$(VENV)/bin/actionlint: $(STAMP)
	GOBIN="$(CURDIR)/$(VENV)/bin" scripts/go install \
		github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)
