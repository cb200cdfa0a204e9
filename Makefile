# `make run` and `make test` set up .venv and do the work; `make lint` checks style and types.
.PHONY: run test test-newest lint
.DELETE_ON_ERROR:

fits = import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	$$name -c '$(fits)' >/dev/null 2>&1 && echo $$name && break; done)

run: .venv/installed
	@.venv/bin/keras-resnet train --model=ResNet20V2 --dataset=digits --workdir=runs/digits
	@.venv/bin/keras-resnet export --model_path=runs/digits/model.keras --output_dir=runs/digits/export

# A process that dies is not replaced: xdist would wait for ever for the tests that it had left.
PYTEST = -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder --max-worker-restart=0
test: .venv/installed-test
	@.venv/bin/python $(PYTEST)

# The newest releases that there are, whatever setup.py's bounds say: which of the *_internals.py files has to follow?
NEWEST = keras tensorflow tensorflow-datasets tf2onnx onnx onnxruntime ai-edge-litert litert-quantizer numpy
test-newest:
	@$(PYTHON) -m venv --clear .venv-newest
	@.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade $(NEWEST)
	@.venv-newest/bin/python $(PYTEST)

lint: .venv/installed-test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/basedpyright

# The runtimes of other people that the artifacts are tried in, each in an environment of its own. One that cannot be installed
# here is reported in a line; its tests are skipped.
.PHONY: clients
clients: .venv/installed
	@.venv/bin/python -m keras_resnet.export.clients.install --folder=.clients || true

# What only a machine with a GPU can show, in build/device-check.json; without a GPU the script is tried with small sizes.
.PHONY: device-check
device-check: .venv/installed-device
	@.venv/bin/python -m keras_resnet.training.benchmarks.device_check $(if $(MINUTES),--minutes=$(MINUTES))

# Keras for a machine that has JAX or PyTorch, but neither TensorFlow nor a network; see docs/benchmarks.md.
PYTHON_THERE ?= 3.12
build/keras:
	@rm -rf $@ && $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary=:all: \
		--python-version=$(PYTHON_THERE) --target=$@ 'keras>=3.14,<3.16' optree

# The site, in build/site. Strict: a link or a docstring that leads nowhere is an error.
.PHONY: docs
docs: .venv/installed-docs
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

.venv/bin/python:
	$(if $(and $(PYTHON),$(shell { $(PYTHON) -c '$(fits)' && echo yes; } 2>/dev/null)),,$(error \
	needs Python 3.11, 3.12 or 3.13 with venv: $(or $(PYTHON),what is on the PATH) is none; try make PYTHON=python3.12))
	@$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.py pyproject.toml
	@echo "installing into .venv, which takes some minutes the first time"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-test: .venv/installed
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

.venv/installed-device: .venv/installed
	@if command -v nvidia-smi >/dev/null; then \
		.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[gpu,torch]'; fi
	@touch $@

.venv/installed-docs: .venv/installed
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@
