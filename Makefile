# Two commands on a fresh machine with Python >= 3.11: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
BIN = $(VENV)/bin
# pip installs only files whose hashes are in .ci/locks/, and builds none but norse's (and ours) from source. Where that
# does not fit (another platform, another index), `make HASHES=` goes by the versions in constraints.txt alone.
HASHES ?= .ci/locks
PIP = $(BIN)/python -m pip install --quiet
ifeq ($(HASHES),)
LOCKED = $(PIP) --no-deps --requirement .ci/locks/$(1).in
NORSE = $(call LOCKED,norse)
else
LOCKED = $(PIP) --no-deps --require-hashes --no-build-isolation --only-binary :all: --no-binary norse \
	--requirement .ci/locks/$(1).txt
NORSE = $(call LOCKED,norse-build) --upgrade --target $(VENV)/norse-build && \
	PYTHONPATH="$$(cd $(VENV)/norse-build && pwd)" $(call LOCKED,norse)
endif

.PHONY: demo docs test test-thorough test-slow fuzz lint lock audit release-check matrix clean

demo: $(VENV)/installed
	$(BIN)/mpdviz demo --out $(DEMO)

test: $(VENV)/installed
	@# Two workers: most tests wait for one core. What waits for a thread must not keep the other worker's core.
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -m "not slow and not thorough" -n 2 --dist worksteal

test-thorough: $(VENV)/installed
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -m "thorough and not slow" -n 2 --dist worksteal

# The site, in build/site. Strict: a broken link or reference is an error.
docs: $(VENV)/installed build/gallery/index.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

build/gallery/index.md: docs/site/gallery.py $(wildcard mpdviz/figures/*.py mpdviz/figures/paper/*.py) | $(VENV)/installed
	$(BIN)/python docs/site/gallery.py build/gallery

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

# Hostile inputs, seeded; each is known by its name SEED-KIND-NUMBER, see tests/fuzz/__main__.py.
MINUTES ?= 10
INPUTS ?= 10000
SEED ?= 0
fuzz: $(VENV)/installed
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m fuzz --inputs $(INPUTS) --minutes $(MINUTES) --seed $(SEED)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy mpdviz cli
	$(BIN)/lint-imports
	$(BIN)/python .ci/locks check

# These four need a network. --strict: what could not be asked about is no pass.
lock: $(VENV)/tools/installed
	$(VENV)/tools/bin/python .ci/locks write

audit: $(VENV)/tools/installed
	@# Not the CPU build of PyTorch: what databases say of a release, they say under its plain version.
	for lock in $(filter-out .ci/locks/torch-cpu.txt,$(wildcard .ci/locks/*.txt)); do echo $$lock; \
	$(VENV)/tools/bin/pip-audit --strict --require-hashes --disable-pip -r $$lock || exit; done

release-check: $(VENV)/tools/installed
	$(VENV)/tools/bin/python .ci/release

matrix: $(VENV)/tools/installed
	$(VENV)/tools/bin/python .ci/matrix

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/installed: pyproject.toml constraints.txt $(wildcard .ci/locks/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	"mpdviz needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
ifeq ($(HASHES),)
	$(PIP) --constraint constraints.txt --editable '.[test,docs,lint]'
else
	$(call LOCKED,torch-cpu) || { echo "No CPU build of PyTorch that .ci/locks/ know; taking PyPI's"; $(call LOCKED,torch); }
	$(call LOCKED,required)
	$(PIP) --no-deps --no-build-isolation --editable .
endif
	$(call LOCKED,peers)
	$(call LOCKED,aedat) || echo "aedat is not to be had; its tests will be skipped"
	$(call LOCKED,sinabs) || echo "sinabs is not to be had; its tests will be skipped"
	for version in 0.0.0.0.14 0.0.0.0.12; do \
	$(call LOCKED,spikingjelly-$$version) --target $(VENV)/legacy/spikingjelly-$$version || \
	echo "SpikingJelly $$version is not to be had; its tests will be skipped"; done
	{ $(NORSE); } || echo "norse could not be built; its tests will be skipped"
	@touch $@

$(VENV)/tools/installed: .ci/locks/tools.txt
	$(PYTHON) -m venv $(VENV)/tools
	$(VENV)/tools/bin/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: -r $<
	@touch $@
