# lab: start the course · update: the newest version, your notebooks kept · models: fetch the models
# test: everything CI checks · build: make the notebooks from solutions/*.py
# book, slides: the lessons as web pages and as decks of slides, in build/ · test-teaching: look at both
# variants: the strict run again on other settings, every cell twice · clean: take away what make made
# Each target first makes what it needs; a second run is quick. `make test ONLY=04` tests one lesson.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TEACHING := $(VENV)/teaching
PYTEST := $(BIN)/python -m pytest
ONLY ?=
NBVAL := -n 2 --dist loadfile --nbval-current-env --nbval-cell-timeout=600

SOURCES := $(wildcard solutions/*.py)
SOLUTIONS := $(SOURCES:.py=.ipynb)

# One lesson, or all of them.
EDITION = $(if $(ONLY),$(wildcard $(1)/$(ONLY)_*.ipynb),$(1))
OF_LESSONS := tests/test_lessons.py tests/test_checks.py tests/test_answers.py tests/test_remembered.py
# What is tested of the whole course, also where one lesson is asked for.
OF_THE_COURSE := lessons_are_those or every_lesson_has or are_unique or readme or documents

.PHONY: lab update test variants build models clean book slides test-teaching
# An interrupted build leaves the notebook where it is: with it the ids of its cells would be lost.
.PRECIOUS: solutions/%.ipynb

lab: $(VENV)/learner models
	$(BIN)/python -m jupyter lab --notebook-dir=. notebooks/00_start_here.ipynb

update:
	$(PYTHON) -m utils.update

# Two notebooks at once, each on one thread: two threads each on two cores take almost twice as long.
test: $(VENV)/author models
	$(BIN)/ruff check .
	OMP_NUM_THREADS=1 $(PYTEST) $(if $(ONLY),-k "$(ONLY) or $(OF_THE_COURSE)" $(OF_LESSONS),-n 2 --dist loadscope tests)
	OMP_NUM_THREADS=1 COURSE_STRICT=1 $(PYTEST) $(NBVAL) --nbval \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg $(call EDITION,solutions)
	OMP_NUM_THREADS=1 $(PYTEST) $(NBVAL) --nbval-lax $(call EDITION,notebooks)

# Not part of test, for they take long: the strict run once more on one thread, on two, and on older
# processors; then every cell of every lesson twice in a row, and thirty learners at once.
variants: $(VENV)/author models
	for set in OMP_NUM_THREADS=1 OMP_NUM_THREADS=2 ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2; do \
	  echo "== $$set"; env $$set COURSE_STRICT=1 $(PYTEST) $(NBVAL) --nbval \
	    --nbval-sanitize-with tests/nbval_sanitize.cfg $(call EDITION,solutions) || exit 1; done
	OMP_NUM_THREADS=1 COURSE_SLOW=1 $(PYTEST) -n 2 tests/test_run_twice.py $(if $(ONLY),-k "$(ONLY)")
	$(if $(ONLY),,OMP_NUM_THREADS=1 COURSE_SLOW=1 $(PYTEST) tests/test_a_full_room.py)

build: $(SOLUTIONS)

# jupytext keeps cell ids and outputs of the notebook that is there: never delete it first. The course's
# home is an empty one, so that nobody's progress gets into a notebook.
solutions/%.ipynb: export COURSE_HOME = $(abspath build/home-of-$*)
solutions/%.ipynb: solutions/%.py solutions/learner_edition.json | $(VENV)/author
	@! grep -qsE '"execution_count": [0-9]' notebooks/$*.ipynb || { echo "notebooks/$*.ipynb holds \
	somebody's work (it has been run): move it elsewhere, or git restore it, and build again"; exit 1; }
	$(BIN)/python -m utils.models
	rm -rf $(COURSE_HOME)
	$(BIN)/jupytext --quiet --to ipynb --update --set-kernel python3 $<
	OMP_NUM_THREADS=1 COURSE_STRICT=1 $(BIN)/jupyter nbconvert --log-level WARN --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=600 $@
	$(BIN)/nbstripout --keep-output --keep-count --keep-id \
	  --extra-keys 'metadata.language_info metadata.jupytext cell.metadata.cell_marker cell.metadata.lines_to_next_cell' $@
	$(BIN)/jupyter nbconvert --log-level WARN --to notebook --config solutions/learner_edition.json \
	  --output-dir notebooks $@

# The course's own environment knows the mistakes, the other one makes the pages: afresh each time, for
# Sphinx does not repeat a warning about a page that has not changed.
book: $(VENV)/learner $(TEACHING)/made
	$(BIN)/python -m teaching.book.gather build/book-source
	rm -rf build/book
	$(TEACHING)/bin/python -m sphinx -q -E -W --keep-going -c teaching/book -d build/book-doctrees \
	  build/book-source build/book
	@echo "The book is build/book/index.html"

slides: $(TEACHING)/made
	$(TEACHING)/bin/python -m teaching.slides.make build/slides $(ONLY)
	@echo "The slides are build/slides/index.html"

test-teaching: book slides
	$(TEACHING)/bin/python -m pytest teaching/test_book.py

models: $(VENV)/learner
	$(BIN)/python -m utils.models

$(VENV)/learner: requirements.txt pyproject.toml $(VENV)/made
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	touch $@

$(VENV)/author: requirements-author.txt $(VENV)/learner
	$(BIN)/python -m pip install -r requirements-author.txt
	@# In a new clone all files are of the same age: what git knows as it is needs no build.
	@for py in $(SOURCES); do git diff --quiet HEAD -- $$py 2>/dev/null && touch $${py%.py}.ipynb; done; true
	touch $@

$(TEACHING)/made: teaching/requirements.txt $(VENV)/made
	$(BIN)/python -m venv --clear $(TEACHING)
	$(TEACHING)/bin/python -m pip install -r teaching/requirements.txt
	touch $@

# The version is asked first (pip would answer with pages about numpy), and what was left half-made is
# made afresh. An environment knows its own place: in a folder that was renamed or moved it is made anew.
$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo; \
	  echo "The course needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	  echo "Install one of them and name it, for instance: make lab PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@echo "$(abspath $(VENV))" > $@

ifneq ($(shell cat $(VENV)/made 2>/dev/null),$(abspath $(VENV)))
.PHONY: $(VENV)/made
endif

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache
