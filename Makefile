# Everything runs in .venv, which is made on first use. `make help` lists the commands.

PYTHON ?= python3
BIN := .venv/bin
DEMO := .cache/demo
AXE := .cache/axe
APT_GET = $(if $(filter-out 0,$(shell id -u)),sudo) env DEBIAN_FRONTEND=noninteractive apt-get
COMPARISON ?= runs/compare/compare.json
MODELS ?= pneumoscan/models
# Not empty for models beside the shipped ones, which then may not bear their names.
OWN = $(filter-out $(abspath pneumoscan/models),$(abspath $(MODELS)))

# How each shipped model is made: the side in pixels at which it scans, what train fit is told, what train export is told.
# Pixels: below the 224 of the published small copies, so that these are scaled down as originals are, and look like them.
SCAN_SIZE := 192

# The teachers of fast are not shipped. The second goes less by texture, but is less sure of stressed pictures.
TEACHER_RUN ?= runs/lite0
TEACHER_RECIPE := --network lite0 --epochs 8 --learning-rate 5e-4 --size 160
TEXTURE_RUN ?= runs/lite0-texture
TEXTURE_RECIPE := $(TEACHER_RECIPE) --detail 0.7 --balance-texture

ACCURATE_RUN ?= runs/accurate
ACCURATE_RECIPE := $(TEACHER_RECIPE) --doubting-epochs 4 --after $(TEACHER_RUN)
ACCURATE_NAME ?= $(if $(OWN),my-accurate,lite0)
ACCURATE_VERSION ?= $(if $(OWN),0.1.0,2.2.1)
ACCURATE_EXPORT = --name "$(ACCURATE_NAME)" --version "$(ACCURATE_VERSION)" $(if $(wildcard $(COMPARISON)),--compare $(COMPARISON))

FAST_RUN ?= runs/fast
FAST_RECIPE := --network compact --teacher $(TEACHER_RUN) --teacher $(TEXTURE_RUN) --teacher-share 0.6 \
	--epochs 14 --learning-rate 1e-3 --size 160 --detail 0.7 --balance-texture --doubting-epochs 8
FAST_NAME ?= $(if $(OWN),my-fast,compact)
FAST_VERSION ?= $(if $(OWN),0.1.0,3.3.1)
FAST_EXPORT = --name "$(FAST_NAME)" --version "$(FAST_VERSION)"

.DEFAULT_GOAL := help
.PHONY: help demo test test-train browser bench bench-files lint model accurate fast teacher texture indexed has-data compare clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .venv/scanner ## Scan 16 real chest X-rays; leaves predictions.csv, predictions.json and report.html
	@$(BIN)/python -m tests.demo_images $(DEMO)
	@$(BIN)/pneumoscan predict $(DEMO) -o predictions.csv -o predictions.json --report report.html -o - -f table
	@echo "wrote predictions.csv and predictions.json; open report.html in a browser"

test: .venv/dev ## Test the scanner (and train/ where torch is installed)
	$(BIN)/python -m pytest

test-train: .venv/train ## Install the training libraries and test train/
	$(BIN)/python -m pytest tests/train

browser: ## Get what the tests of pages need: Chromium (apt) and axe-core (npm)
	$(APT_GET) update -qq
	$(APT_GET) install -y -qq --no-install-recommends chromium chromium-driver
	mkdir -p $(AXE)
	npm install --prefix $(AXE) --no-save --no-audit --no-fund --ignore-scripts axe-core@4.14.1

bench: .venv/dev ## Measure how near a scan comes to decoding alone: make bench [DATA=path/to/pictures] [BENCH=options]
	$(BIN)/python -m pneumoscan bench $(if $(DATA),"$(DATA)") --history tests/benchmarks/history.jsonl $(BENCH) \
		$(if $(shell $(BIN)/python -m pip show --quiet torch 2>&1 || echo absent),,--compare tests/benchmarks/pytorch.py)

bench-files: .venv/dev ## Measure memory and time over many small files
	$(BIN)/python -m tests.benchmarks.many_files

lint: .venv/dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Memory that PyTorch frees is kept for the next step: returning it to the system costs a third of the time on Linux.
accurate fast teacher texture compare: export MALLOC_MMAP_MAX_ = 0
accurate fast teacher texture compare: export MALLOC_TRIM_THRESHOLD_ = 17179869184
model: accurate fast ## Regenerate both models: make model DATA=path/to/chest_xray (goes on where it stopped)

accurate: RUN = $(ACCURATE_RUN)
accurate: RECIPE = $(ACCURATE_RECIPE)
accurate: EXPORT = $(ACCURATE_EXPORT)
accurate: teacher ## Regenerate the model accurate, which is the first teacher taught on

fast: RUN = $(FAST_RUN)
fast: RECIPE = $(FAST_RECIPE)
fast: EXPORT = $(FAST_EXPORT)
fast: teacher texture ## Regenerate the model fast, which learns from both teachers

teacher: indexed ## Fit the first teacher
	$(BIN)/python -m train fit "$(DATA)" --run $(TEACHER_RUN) $(TEACHER_RECIPE) --resume

texture: indexed ## Fit the second teacher, which goes less by texture
	$(BIN)/python -m train fit "$(DATA)" --run $(TEXTURE_RUN) $(TEXTURE_RECIPE) --resume

accurate fast:
	$(BIN)/python -m train fit "$(DATA)" --run $(RUN) $(RECIPE) --resume
	$(BIN)/python -m train audit $(RUN) --data "$(DATA)" --size $(SCAN_SIZE) --int8 $(if $(SIZES),--sizes "$(SIZES)") \
		--json $(RUN)/audit.json
	$(BIN)/python -m train export "$(DATA)" --run $(RUN) --size $(SCAN_SIZE) --int8 --audit $(RUN)/audit.json $(EXPORT) \
		$(if $(SOURCE),--source "$(SOURCE)") --out "$(MODELS)/$@/model.onnx"

indexed: has-data .venv/train
	$(BIN)/python -m train index "$(DATA)"

has-data:
	@test -n "$(DATA)" || { \
		echo "say where the pictures are: make $(MAKECMDGOALS) DATA=path/to/chest_xray" >&2; exit 2; }

compare: has-data .venv/train ## Compare candidate recipes by short fits; make model then shows them in the card of accurate
	$(BIN)/python -m train compare "$(DATA)" --run $(dir $(COMPARISON))

clean: ## Remove the environment, caches and outputs (not runs/)
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis dist predictions.csv predictions.json report.html

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, as $(PYTHON); name another with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo "the environment could not be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' || { \
		echo "packages could not be downloaded (see above). Is there a network?" >&2; exit 1; }
	@touch $@

.venv/scanner: .venv/pip pyproject.toml
	@echo "installing the scanner into .venv (once; ONNX Runtime is large) …"
	@$(BIN)/python -m pip install --quiet --editable . || { \
		echo "the packages could not be installed (see above). Is there a network, and disk space?" >&2; exit 1; }
	@touch $@

.venv/dev: .venv/scanner
	@$(BIN)/python -m pip install --quiet --group dev || { \
		echo "the test tools could not be installed (see above). Is there a network?" >&2; exit 1; }
	@touch $@

.venv/train: .venv/dev train/constraints.txt
	@echo "installing the training libraries into .venv (once; torch is large) …"
	@$(BIN)/python -m pip install --quiet --group train --constraint train/constraints.txt || { \
		echo "the training libraries could not be installed (see above). Is there a network, and disk space?" >&2; exit 1; }
	@touch $@
