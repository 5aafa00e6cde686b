# The two commands of a newcomer: `make demo` and `make test`.
PYTHON ?= python3
# Where pip finds torch without gigabytes of CUDA packages; `make install TORCH_INDEX=` takes torch's default build.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: install demo test test-fast test-cluster fuzz lint format schemas answers clean

install: .venv/installed

.venv/installed: pyproject.toml infra/constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --retries 1 --constraint infra/constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --no-deps torch
	.venv/bin/pip install --quiet --constraint infra/constraints.txt --editable '.[dev]'
	touch $@

demo: install
	.venv/bin/nightjar generate data/demo/logs --days 30 --rows-per-day 50000 --seed 7
	.venv/bin/nightjar train --config jobs/configs/demo.yaml

# Two processes take a file each, with Ray clusters and servers of their own: most tests wait for those.
PYTEST = .venv/bin/pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Everything but what needs a CUDA device or several machines; first the files that take longest, lest one is left alone.
test: install
	$(PYTEST) -m 'not gpu and not cluster' tests/training/on_ray tests

# Ray, MLflow, PostgreSQL and S3 on machines with disks of their own, in namespaces of Linux's, which want root; and ranks
# and nights that are killed again and again on this one.
test-cluster: install
	.venv/bin/pytest -q -m cluster tests/cluster tests/training/on_ray tests/nights

# Without Ray, servers and whole runs.
test-fast: install
	$(PYTEST)

# 100,000 inputs drawn at random, others each time: some twenty minutes on two cores. EXAMPLES are those of a test.
EXAMPLES ?= 6000
fuzz: install
	NIGHTJAR_EXAMPLES=$(EXAMPLES) $(PYTEST) -m 'not gpu and not cluster' --timeout 0 tests/fuzz

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: install
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

schemas: install
	.venv/bin/python -m schemas

answers: install
	.venv/bin/python tests/answers.py

# The environment, caches and builds. The champion, in .nightjar, and the logs, in data, stay.
clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . \( -path ./.nightjar -o -path ./data \) -prune -o -name __pycache__ -prune -exec rm -rf {} +
