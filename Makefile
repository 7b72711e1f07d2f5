# The commands of this project, for people, hooks and CI; `make` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODELOPS := $(BIN)/python -m include
# Tests on all cores, those of a file one after the other.
SHARED := --numprocesses logical --dist loadfile

# Every process runs from compiled bytecode: importing the libraries takes three times as long without it.
unexport PYTHONDONTWRITEBYTECODE
# A caller's own setting must not lead Python or uv to another environment.
unexport VIRTUAL_ENV PYTHONHOME

# Runs the command in $(1) if there is an environment; without one nothing was ever started from here.
define if-installed
@if [ -x $(BIN)/python ]; then $(1); else echo "There is no environment yet, so nothing runs. Start with: make run"; fi
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# What docker-compose.yaml asks for, each with its length in bytes; it has no default for any of them.
SECRETS := POSTGRES_PASSWORD:32 VALKEY_PASSWORD:32 AIRFLOW_PASSWORD:32 \
  AIRFLOW_FERNET_KEY:32 AIRFLOW_API_SECRET:32 AIRFLOW_JWT_SECRET:64

.PHONY: help run down status logs clean secrets test test-faults test-month test-compose lint bench

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## start everything, ingest, retrain, predict, show the outcome [SOURCE=path-or-uri USE_CASE=name]
	@$(MODELOPS) run $(if $(SOURCE),--source '$(SOURCE)') $(if $(USE_CASE),--use-case '$(USE_CASE)')

down: ## stop every process of the stack
	$(call if-installed,$(MODELOPS) down)

status: ## show champion, last runs and open requests
	$(call if-installed,$(MODELOPS) status)

logs: ## show the end of the logs [NAME=scheduler] [FOLLOW=1]
	$(call if-installed,$(MODELOPS) logs $(NAME) $(if $(FOLLOW),--follow))

clean: ## stop the stack and remove all of its state
	$(call if-installed,$(MODELOPS) clean)

secrets: ## put the passwords and keys of docker-compose.yaml into .env, those that are not there yet
	@umask 077; touch .env; chmod 600 .env; [ -z "$$(tail -c 1 .env)" ] || echo >> .env
	@for secret in $(SECRETS); do grep -q "^$${secret%:*}=" .env || \
	  echo "$${secret%:*}=$$(head -c $${secret#*:} /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n')" >> .env; done

test: $(VENV)/.installed-dev ## run the tests, on all cores [TESTS="tests/unit -k name", on one]
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest $(or $(TESTS),$(SHARED))

test-faults: $(VENV)/.installed-dev ## kill, cut off and fill the disk in every place, on all cores; prints its seed [SEED=42]
	@PYTHONPATH=$(CURDIR) $(if $(SEED),SEED='$(SEED)') $(BIN)/python -m pytest -m '' $(SHARED) tests/faults

test-month: $(VENV)/.installed-dev ## play thirty days of traffic, late labels and drift on the real stack, in minutes
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest -s -m month tests/month

test-compose: $(VENV)/.installed-dev ## build the stack of containers, start it, retrain on it, remove it
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest -m compose tests/compose

lint: $(VENV)/.installed-dev ## check style and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

bench: $(VENV)/.installed ## measure speed and memory against their limits, in 40 minutes [ONLY=loop]
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.bench $(if $(ONLY),--only '$(ONLY)')

# The environment: made from the locks, brought up to date when they change.

$(VENV)/.uv: requirements.txt
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "This project needs Python 3.11, 3.12 or 3.13 with its venv module, and '$(PYTHON)' is" \
	       "$$($(PYTHON) --version 2>&1 | tail -n 1 || true)." \
	       "Install one of these (on Debian and Ubuntu together with its package, such as python3.12-venv)" \
	       "and name it: make run PYTHON=python3.12" >&2; exit 1; }
	@echo "Making the environment in $(VENV)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements.txt
	@echo "Installing what requirements.txt locks (1.6 GB; a minute or a few)"
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing the tools for tests and checks"
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements-dev.txt
	@touch $@
