# `make` lists the targets. Everything happens in .venv, made from requirements.lock with nothing but Python and make.
PYTHON ?= python3
CAPTURE ?= project3-2020
BIN := .venv/bin
READY := .venv/ready

HOURS ?= 4
# Tests of rules and decoders that load few recordings: what of those they run is counted (tool.coverage).
UNITS := answer_rules answer_words dtls finding_rules jingle limits rtcp rtp sdp sign_rules steps_of_media \
	steps_of_signaling stun

.PHONY: help report test lint types unit notebooks keep docs lab bench fuzz nightly night coverage hours \
	mutants lowest newest clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# The packages come first and alone, so that a new line of our code installs nothing. uv installs them in seconds; where it
# finds no index, as one that only pip was told of, pip does.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "jitsilab needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	{ $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt \
		&& UV_NATIVE_TLS=1 $(BIN)/uv pip install --quiet --python .venv --require-hashes -r requirements.lock \
			$(if $(PIP_INDEX_URL),--default-index $(PIP_INDEX_URL)); } \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

report: $(READY) ## regenerate the report of CAPTURE (default: the 2020 study, in report/)
	$(BIN)/jitsilab report $(CAPTURE)

test: $(READY) ## all checks: ruff, mypy, pytest, nbval
	$(MAKE) --no-print-directory -j 2 lint types notebooks
	$(MAKE) --no-print-directory unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest -q -n 3 --dist loadfile --durations=15 tests

notebooks: $(READY)
	$(BIN)/pytest -q --nbval-lax --nbval-current-env notebooks

keep: $(READY) ## run the notebooks and keep what they now find, after a change that means to change it
	@mkdir -p out
	@for book in notebooks/[0-9]*.ipynb; do echo $$book; \
		$(BIN)/papermill --no-progress-bar --cwd notebooks -k python3 $$book out/kept.ipynb 2>out/kept.log >&2 \
		&& $(BIN)/python tests/kept_notebook.py out/kept.ipynb \
		&& cp out/kept.ipynb $$book || { tail -20 out/kept.log; exit 1; }; done

docs: $(READY) ## the docs site, in out/docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs out/docs
	@echo out/docs/index.html

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

bench: $(READY) ## measure against tshark, scapy and others; rewrites benchmarks/results.md
	$(BIN)/python -m benchmarks

fuzz: $(READY) ## a minute of fuzzing, as CI does it
	$(BIN)/python -m fuzz --seconds 60 --quick

nightly: $(READY) ## what takes HOURS (default: 4): more tests, coverage, fuzzing (fuzz/results.md), mutants (fuzz/mutants.md)
	$(MAKE) --keep-going night lowest newest coverage hours mutants

night: $(READY)
	JITSILAB_NIGHTLY=1 $(BIN)/pytest -q -m nightly tests
	JITSILAB_NIGHTLY=1 JITSILAB_DAMAGED=100 $(BIN)/pytest -q tests/test_capture.py tests/test_monotony.py tests/test_site.py \
		tests/test_stun.py

# The suite with the oldest packages that pyproject.toml takes, and with the newest that there are.
lowest: RESOLUTION := lowest-direct
newest: RESOLUTION := highest
lowest newest: $(READY)
	$(PYTHON) -m venv --clear out/$@
	$(BIN)/uv pip install --quiet --python out/$@ --resolution $(RESOLUTION) -e '.[lab,mcp,fleet,docs,test]'
	out/$@/bin/pytest -q -n 3 --dist loadfile tests

coverage: $(READY)
	$(BIN)/coverage run -m pytest -q $(UNITS:%=tests/test_%.py)
	$(BIN)/coverage report

hours: $(READY)
	$(BIN)/python -m fuzz --seconds $$(($(HOURS) * 3600)) --keep

mutants: $(READY)
	$(BIN)/python -m fuzz.mutants --count 300 --seed 1 --floor 85 --keep

clean: ## remove what was made, the environment too
	rm -rf .venv out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
