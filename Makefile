# Works on a bare machine: needs make and a Python >= 3.11, nothing else.
#
#   make demo     decode with the bundled model, plainly and with Kangaroo, and compare
#   make quick    while you work: ruff, mypy, every test that needs no model, command line or GPU
#   make test     everything that CI runs; the last line is pytest's summary
#   make matrix   quick's tests, the wheel and the demo on every Python promised that is found here
#   make lint | types | docs | examples | clean      docs: the site in build/docs, and its examples
#   make templates  what `specframe new` writes, installed and used as its author would
#   make bench    everything that docs/performance.md quotes: an hour; or bench-demo, -large, -parts
#   make bench-picture  docs/speedup.svg, from what bench-demo left
#
# .venv holds what users get: torch, transformers, specframe (editable). The others are thin
# layers that see it: .venv-tools (linters and test tools, on the sources as they stand),
# .venv-wheel (the built wheel and the test tools), .venv-docs (.venv-wheel and what builds the
# site), .venv-examples (.venv-wheel with examples/, installed as any plug-ins), .venv-floor
# (.venv-wheel with the oldest transformers promised), .venv-new (.venv-wheel with what
# `specframe new` wrote). .venv-3.12 and its like are whole: what users of that Python get.

PYTHON ?= python3
MINORS := 3.11 3.12 3.13
ROOTS := strategies verifiers models
TORCH := torch==2.13.0
FLOOR := transformers==5.17.0 huggingface-hub==1.5.0
TOOLS := ruff mypy import-linter
TESTERS := pytest pytest-timeout pytest-xdist hypothesis sybil
SITE_TOOLS := sphinx myst-parser furo sphinx-copybutton
# What depends on the version of transformers, and in these files what does not.
FLOOR_TESTS := $(addprefix tests/test_,$(addsuffix .py,families family_models fingerprint \
	more_families probe_families processors refused_models training))
ENGINE_ALONE := every_budget or eos_ends or read_in_chunks or serves_prompts_of_all_lengths
# What `specframe new` writes.
KINDS := drafter verifier stop-policy strategy
LONG := anameaslongasanameisallowedtobee
NEW := $(CURDIR)/.venv-new/bin/specframe
# Two threads in each of several processes wait for each other more than they work.
PARALLEL := OMP_NUM_THREADS=1
# Each worker begins with a stretch of its own: what tests of one module share is made once.
SPREAD := -n auto --dist worksteal

# Each strategy beside transformers' own version of it, at the same draft settings.
# transformers copies the leftmost match of an n-gram.
FIELD := none,kangaroo,kangaroo:tree=true,prompt-lookup,prompt-lookup:match=leftmost,early-exit,draft-model,hf,hf-prompt-lookup,hf-early-exit,hf-assisted
BENCH := .venv/bin/specframe bench --strategies $(FIELD) --repeats 2
LARGE := .venv/bin/python benchmarks/random_model.py llama:24x1024 runs/large --vocabulary 32000 --dtype bfloat16
like = -o early-exit.exit_layer=2 -o hf-early-exit.exit_layer=2 \
	-o draft-model.model=$(1)/draft -o hf-assisted.model=$(1)/draft

PIP := .venv/bin/python -m pip --disable-pip-version-check
# Byte code is made for what is imported, not for all of torch and transformers.
INSTALL := install --quiet --no-compile --constraint constraints.txt
SITE = $$(echo $(CURDIR)/$(1)/lib/python*/site-packages)
EXAMPLES := $(shell find examples -type f -not -path '*/__pycache__/*' 2>/dev/null)
SOURCES := $(shell find specframe $(ROOTS) -type f -not -path '*/__pycache__/*' 2>/dev/null)

# The checkout must not shadow the installed copy, neither here nor in what the tests start.
export PYTHONSAFEPATH := 1
export TOKENIZERS_PARALLELISM := false
MAKEFLAGS += --no-print-directory
# Tests use every core. What is side by side are steps of one process each.
ifneq ($(MAKECMDGOALS),side-by-side)
.NOTPARALLEL:
endif
.DELETE_ON_ERROR:
.PHONY: demo quick test matrix lint types docs site examples bench bench-demo bench-large
.PHONY: bench-parts bench-picture clean pages quick-test wheel-test floor-test templates side-by-side

demo: .venv/ready
	.venv/bin/specframe decode --compare

quick: lint types quick-test

quick-test: .venv-tools/ready
	$(PARALLEL) .venv-tools/bin/python -m pytest $(SPREAD) -m quick --specframe-max-examples 5

test:
	$(MAKE) -j 2 side-by-side
	$(MAKE) wheel-test floor-test examples templates pages

side-by-side: lint types .venv-wheel/ready .venv-floor/ready .venv-examples/ready site

# EXCEPT=3.11 leaves one out, as .ci/run does with what `make test` runs on.
matrix: dist/ready
	$(PYTHON) .ci/matrix.py $(filter-out $(EXCEPT),$(MINORS))

# As an author's user would: nothing but the wheel and what it asks for, then the test tools.
$(MINORS:%=matrix-%): matrix-%: .venv-%/ready dist/ready
	.venv-$*/bin/python -m pip uninstall --quiet --yes specframe
	.venv-$*/bin/python -m pip --disable-pip-version-check $(INSTALL) dist/*.whl
	.venv-$*/bin/specframe --version
	.venv-$*/bin/specframe strategies
	.venv-$*/bin/specframe decode --compare
	.venv-$*/bin/python -m pip --disable-pip-version-check $(INSTALL) $(TESTERS)
	$(PARALLEL) .venv-$*/bin/python -m pytest -m quick --specframe-max-examples 5 -p no:cacheprovider

lint: .venv-tools/ready
	.venv-tools/bin/ruff check .
	.venv-tools/bin/ruff format --check .
	.venv-tools/bin/lint-imports

types: .venv-tools/ready
	.venv-tools/bin/mypy

docs: site pages

# The examples of README and all pages.
pages: .venv-wheel/ready .venv-docs/ready
	$(PARALLEL) .venv-wheel/bin/python -m pytest -n auto --dist loadfile README.md docs tests/test_constraints.py

# With every warning an error.
site: .venv-docs/ready
	.venv-docs/bin/python -m sphinx -q -W --keep-going -E -b html -d build/doctrees docs build/docs

bench: bench-demo bench-large bench-parts

bench-demo: .venv/ready
	rm -rf runs/demo && mkdir -p runs/demo
	.venv/bin/python benchmarks/cut_model.py runs/demo/draft
	$(BENCH) --max-new-tokens 96 --output runs/demo/greedy $(call like,runs/demo)
	$(BENCH) --max-new-tokens 96 --output runs/demo/sampled --temperature 0.8 $(call like,runs/demo)

bench-large: .venv/ready
	rm -rf runs/large
	$(LARGE)
	for dtype in float32 bfloat16; do $(BENCH) -m runs/large --prompts runs/large/prompts.jsonl --dtype $$dtype \
		--repeats 1 --max-new-tokens 32 --output runs/large/$$dtype $(call like,runs/large); done

bench-parts: export PYTHONPATH = benchmarks
bench-parts: .venv/ready
	.venv/bin/python benchmarks/startup.py
	.venv/bin/python benchmarks/engine.py
	test -d runs/large || $(LARGE)
	.venv/bin/python benchmarks/engine.py --model runs/large
	.venv/bin/python benchmarks/memory.py
	.venv/bin/python benchmarks/batches.py --max-new-tokens 64
	.venv/bin/python benchmarks/exact.py
	.venv/bin/python benchmarks/stops.py --repeats 2 --thresholds 0.05 0.1 0.15 0.2 0.3 --lengths 5 6 8
	.venv/bin/python benchmarks/projection.py

bench-picture: .venv/ready
	.venv/bin/python benchmarks/picture.py runs/demo/greedy --output docs/speedup.svg

examples: .venv-examples/ready
	$(PARALLEL) .venv-examples/bin/python -m pytest $(SPREAD) --specframe-max-examples 5 examples

floor-test: .venv-floor/ready
	$(PARALLEL) .venv-floor/bin/python -m pytest $(SPREAD) -m "not slow and not variant" -k "not ($(ENGINE_ALONE))" $(FLOOR_TESTS)

templates: .venv-tools/ready .venv-new/ready
	printf 'use-%s\n' $(KINDS) | $(PARALLEL) SPECFRAME_TESTING_MAX_EXAMPLES=2 xargs -P 4 -n 1 $(MAKE)
	.venv-tools/bin/ruff check --quiet --no-respect-gitignore build/new
	.venv-tools/bin/ruff format --quiet --check --no-respect-gitignore build/new
	MYPYPATH=. .venv-tools/bin/mypy $(foreach kind,$(KINDS),build/new/$(kind)/my-$(kind)/src build/new/$(kind)/my-$(kind)/tests)

write-%:
	mkdir -p build/new/$*
	cd build/new/$* && $(NEW) new $* my-$* > steps < /dev/null
	cd build/new/$* && $(NEW) new $* $(LONG) --output long < /dev/null > /dev/null

# What is typed is what `specframe new` says comes next.
use-%:
	$(NEW) plugins | grep '^my-$*  *specframe-my-$*  *0.1.0 '
	cd build/new/$* && sed -n '/^ *specframe/s/$$/ --max-new-tokens 16/p' steps | sed '/ check /s/$$/ --num-prompts 2/' > typed
	test "$$(wc -l < build/new/$*/typed)" = 2
	cd build/new/$* && PATH="$(dir $(NEW)):$$PATH" sh -ex typed < /dev/null
	cd build/new/$*/my-$* && PATH="$(dir $(NEW)):$$PATH" $(MAKE) full

wheel-test: .venv-wheel/ready
	$(PARALLEL) .venv-wheel/bin/python -m pytest $(SPREAD) --specframe-max-examples 6

clean:
	rm -rf .venv .venv-* dist build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# torch goes first and alone: an open range of a later package must not choose another one.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'specframe needs Python >= 3.11: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	$(PIP) $(INSTALL) $(TORCH)
	$(PIP) $(INSTALL) hatchling editables
	$(PIP) $(INSTALL) --no-build-isolation --editable ".[train]"
	touch $@

# A layer is a virtual environment whose path continues in the environments below it.
define layer
	rm -rf $(1)
	$(PYTHON) -m venv --without-pip $(1)
	{ $(foreach below,$(2),echo "$(call SITE,$(below))";) } > "$(call SITE,$(1))/below.pth"
endef

.venv-tools/ready: .venv/ready
	$(call layer,.venv-tools,.venv)
	printf '%s\n' $(CURDIR) $(addprefix $(CURDIR)/,$(ROOTS)) >> "$(call SITE,.venv-tools)/below.pth"
	$(PIP) --python .venv-tools $(INSTALL) $(TOOLS) $(TESTERS)
	touch $@

dist/ready: .venv/ready LICENSE README.md $(SOURCES)
	rm -rf dist
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	touch $@

.venv-wheel/ready: dist/ready
	$(call layer,.venv-wheel,.venv)
	$(PIP) --python .venv-wheel $(INSTALL) $(TESTERS)
	$(PIP) --python .venv-wheel $(INSTALL) --force-reinstall --no-deps dist/*.whl
	.venv-wheel/bin/python -c "import specframe, sys; sys.exit(sys.prefix not in specframe.__file__)"
	touch $@

.venv-docs/ready: .venv-wheel/ready
	$(call layer,.venv-docs,.venv-wheel .venv)
	$(PIP) --python .venv-docs $(INSTALL) $(SITE_TOOLS)
	touch $@

.venv-floor/ready: .venv-wheel/ready
	$(call layer,.venv-floor,.venv-wheel .venv)
	$(PIP) --python .venv-floor install --quiet $(FLOOR)
	touch $@

.venv-examples/ready: .venv-wheel/ready $(EXAMPLES)
	$(call layer,.venv-examples,.venv-wheel .venv)
	$(PIP) --python .venv-examples install --quiet --no-deps --no-build-isolation examples/*/
	touch $@

# All four in one environment; their plug-ins have names of their own.
.venv-new/ready: .venv-wheel/ready
	$(call layer,.venv-new,.venv-wheel .venv)
	$(PIP) --python .venv-new $(INSTALL) --force-reinstall --no-deps dist/*.whl
	rm -rf build/new
	printf 'write-%s\n' $(KINDS) | xargs -P 4 -n 1 $(MAKE)
	$(PIP) --python .venv-new $(INSTALL) --no-build-isolation \
		$(foreach kind,$(KINDS),--editable build/new/$(kind)/my-$(kind))
	touch $@

# FOUND is the interpreter that .ci/matrix.py found.
FOUND = python$*
$(MINORS:%=.venv-%/ready): .venv-%/ready: pyproject.toml constraints.txt
	rm -rf .venv-$*
	$(FOUND) -m venv .venv-$*
	.venv-$*/bin/python -m pip --disable-pip-version-check $(INSTALL) $(TORCH)
	touch $@
