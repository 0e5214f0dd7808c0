# Everything happens in .venv, made on the first call. PYTHON names the interpreter to make it from: 3.11 to 3.14.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3.14 python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# From Python 3.13 on, pydensecrf's shipped C++ does not compile: Cython 3 makes it anew.
CRF = $(BIN)/uv pip install --quiet --python $(BIN)/python pydensecrf2==1.1
CRF_FROM_CYTHON = { $(BIN)/uv pip install --quiet --python $(BIN)/python cython setuptools wheel && $(CRF) --no-build-isolation; }

run: .venv/ready  ## the whole course on the embedded creatures -> runs/classroom/results.json, report/index.html
	$(BIN)/python -m aelib run

test: .venv/test-ready  ## unit tests, the whole course at smoke scale, every notebook under nbval
	$(BIN)/python -m pytest

test-fast: .venv/test-ready  ## what one runs while writing: no notebook, no whole run
	$(BIN)/python -m pytest -m "not slow"

test-long: .venv/test-ready  ## reliability at length: kills, full disks, damage, fuzzing, every planted wrong answer
	$(BIN)/uv pip install --quiet --python $(BIN)/python atheris==3.0.0 || echo "atheris could not be installed: its fuzzing is skipped"
	AELIB_LONG=1 $(BIN)/python -m pytest tests/long tests/reliability tests/pipeline tests/course/test_exercises.py tests/course/test_grade.py tests/course/test_lab.py tests/course/test_course.py \
	  tests/paper/test_training.py

audit: .venv/ready  ## known vulnerabilities of the pinned packages; asks PyPI's advisory data, so it needs the internet
	$(BIN)/uv tool run pip-audit==2.10.1 -r requirements-test.lock --no-deps --disable-pip

test-browser: .venv/test-ready  ## every widget in a real JupyterLab and Chromium, moved by keyboard; needs Chromium (Debian: apt-get install chromium)
	$(BIN)/uv pip install --quiet --python $(BIN)/python playwright==1.65.2
	AELIB_BROWSER=1 $(BIN)/python -m pytest tests/browser

lab: .venv/ready  ## the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

notebooks: run  ## put that run's outputs into notebooks/ and the run itself, packed, into data/: what the course ships
	$(BIN)/python -m aelib publish

exercises: .venv/ready  ## make the exercise sheets and their solutions from notebooks/exercises/masters, by otter assign
	$(BIN)/python -m aelib.course.exercises.assemble

seeds: .venv/ready  ## the course under seeds 0, 1 and 2 -> mean and spread (3 times make run)
	$(BIN)/python benchmarks/seeds.py

bench: .venv/test-ready  ## ours beside its peers, each row a ratio -> benchmarks/bench.json; some minutes on an idle machine
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml --extra bench -c requirements-test.lock
	$(BIN)/python benchmarks/bench.py

lint: .venv/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check aelib tests benchmarks

lock:  ## pin again what pyproject.toml allows; needs `uv`
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --extra test -c requirements.lock pyproject.toml -o requirements-test.lock

.venv/ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	$(CRF) 2>/dev/null || $(CRF_FROM_CYTHON) \
	  || echo "pydensecrf could not be built (is there a C++ compiler?): the slower exact CRF takes its place"
	touch $@

.venv/test-ready: .venv/ready requirements-test.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-test.lock
	touch $@

.PHONY: run test test-fast test-long test-browser audit lab notebooks exercises seeds bench lint lock
