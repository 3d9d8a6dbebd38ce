# make run    set up .venv and open the window on a sample (without a display: the loop headless, with a report)
# make test   set up .venv with the test tools and run the whole suite
# make lint   format, lint and types
# make docs   take the screenshots of the user guide anew
# each with QT=pyqt5 on Qt 5, in .venv-pyqt5

PYTHON ?= python3
QT ?= pyqt6
VENV := .venv$(if $(filter-out pyqt6,$(QT)),-$(QT))
BIN := $(VENV)/bin
DISPLAY_OR_VIRTUAL = $(if $(DISPLAY)$(WAYLAND_DISPLAY),,xvfb-run -a -s "-screen 0 1600x1100x24")

# QtPy would take PyQt5 wherever it finds both.
export QT_API := $(QT)

# uv leaves compiling to the first import; unless that is kept, each process compiles PyTorch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-models test-trainer test-window test-commands lint docs clean

run: $(VENV)/ready-$(QT)
	@sh .ci/qt-libraries $(BIN)/python
	@if $(BIN)/python -c 'import sys; from napari_medseg.cli.display import has_display; sys.exit(not has_display())'; then \
		$(BIN)/medseg open --sample fluorescence; \
	else \
		echo "There is no display, so the loop runs without a window."; \
		$(BIN)/medseg demo --headless --json; \
	fi

# Apart: torch and an open canvas in one process crash where Mesa draws (see docs/developer.md), and commands are tested
# where torch is not loaded. The networks and the trainer are two, so that no part is alone at the end. Beside each other,
# with one thread for torch, since each of them waits for its engine or its window a good part of the time. The window's
# take the longest, so the others give way to them.
test: $(VENV)/ready-$(QT)-test
	@sh .ci/qt-libraries $(BIN)/python --virtual-display
	@$(MAKE) --no-print-directory --jobs=4 --keep-going test-window test-models test-trainer test-commands

COMMANDS = $(wildcard tests/napari_medseg/test_cli_*.py)

test-models:
	OMP_NUM_THREADS=1 nice -n 5 $(BIN)/python -m pytest --durations=20 tests/models

test-trainer:
	OMP_NUM_THREADS=1 nice -n 5 $(BIN)/python -m pytest --durations=20 tests/trainer

test-window:
	OMP_NUM_THREADS=1 $(DISPLAY_OR_VIRTUAL) $(BIN)/python -m pytest --durations=20 tests/napari_medseg \
		$(addprefix --ignore=,$(COMMANDS))

test-commands:
	OMP_NUM_THREADS=1 nice -n 5 $(BIN)/python -m pytest --durations=20 $(COMMANDS)

lint: $(VENV)/ready-$(QT)-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/npe2 validate napari-medseg
	sh .ci/types $(BIN)/python

docs: $(VENV)/ready-$(QT)-test
	@sh .ci/qt-libraries $(BIN)/python --virtual-display
	for script in docs/screenshots_*.py; do $(DISPLAY_OR_VIRTUAL) $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv .venv-pyqt5 build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# By uv, for which PyTorch's gigabytes are less work than for pip. Where it gets nothing, as from an
# index that only pip knows, pip does it.
$(VENV)/ready-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "MedSeg needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt uv \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python $(PACKAGES) \
		|| $(BIN)/python -m pip install --quiet $(PACKAGES)
	touch $@

PACKAGES = -c constraints.txt -e '.[$(subst -,$(comma),$*)]'

comma := ,
