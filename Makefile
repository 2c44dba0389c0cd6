# Two commands on a fresh machine with Python >= 3.11: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
BIN = $(VENV)/bin
# Used in tests and benchmarks. They declare torchvision, torchaudio, librosa and more, which what we use of
# them runs without; the little that it needs is here (for tonic) or in the extra `test`.
PEERS = snntorch spikingjelly nir nirtorch tonic aedat h5py importRosbag tqdm

.PHONY: demo test test-slow lint clean

demo: $(VENV)/installed
	$(BIN)/mpdviz train --strategy fixed --out $(DEMO)/fixed --resume
	$(BIN)/mpdviz train --strategy mpd-agl --out $(DEMO)/mpd-agl --resume
	$(BIN)/mpdviz inspect $(DEMO)/fixed/checkpoints/best.pt --out $(DEMO)/fixed/inspect
	$(BIN)/mpdviz inspect $(DEMO)/mpd-agl/checkpoints/best.pt --out $(DEMO)/mpd-agl/inspect
	@echo "Tables:  $(DEMO)/fixed/inspect/table.csv  $(DEMO)/mpd-agl/inspect/table.csv"
	@echo "Figures: $(DEMO)/fixed/inspect/*.png  $(DEMO)/mpd-agl/inspect/*.png"

test: $(VENV)/installed
	@# Two workers: most tests wait for one core. What waits for a thread must not keep the other worker's core.
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy mpdviz cli
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	"mpdviz needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,lint]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps $(PEERS)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps sinabs pbr || \
	echo "sinabs is not to be had; its tests will be skipped"
	@# The versions that most published SpikingJelly networks use; without them their tests are skipped.
	for version in 0.0.0.0.14 0.0.0.0.12; do \
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/legacy/spikingjelly-$$version \
	spikingjelly==$$version || echo "SpikingJelly $$version is not to be had; its tests will be skipped"; done
	@# Norse comes as source alone and is built here; without it its tests are skipped.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps norse || \
	echo "norse could not be built; its tests will be skipped"
	@touch $@
