# A new user needs two commands: `make demo` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help setup build man demo bench benchgraphs check test interop golden deb trydeb tryslurm lint format clean

SWIFT ?= swift
PYTHON ?= python3
# Always a release build: numeric code is fifty times slower in a debug build.
RELEASE := -c release
# The number of tests run at once. All thousand tests would open more files than Foundation's Process supports (select's
# 1024), and block all threads for a minute while waiting for sockets.
WIDTH := SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=16
SOURCES := Package.swift Sources Tests

help: ## List these targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## Install missing system libraries, and check for Swift
	@bash deploy/setup.sh

build: setup ## Build the commands
	$(SWIFT) build $(RELEASE)

man: build ## Write manual pages and completions into .build/man and .build/completions
	$(SWIFT) build $(RELEASE) --product generate-manual
	@bash deploy/make-man.sh .build/release .build

# Removes the report of an earlier demo, which could be mistaken for this one's if this one fails.
demo: build ## Run a small federation of four clients, with its report in runs/demo
	@rm -rf runs/demo
	.build/release/fedsim run deploy/plans/demo.yaml --clients 4 --data 'shapes:4000' \
	  --test-data 'shapes:1000' --partition even --out runs/demo

bench: build ## Measure speed and memory of training steps, and print one table
	.build/release/fedsim bench suite

# GRAPHS selects the graphs, such as GRAPHS='--data graph:cora.npz --data sbm:1000000?degree=20'.
benchgraphs: build ## Compare L-GCN with PyTorch on the same graphs; needs Python with torch
	$(PYTHON) Tests/interop/bench_graphs.py $(GRAPHS)

check: build ## Run ten thousand federations under faults
	.build/release/fedsim check --seeds 1..10000

test: setup lint ## Check the format, then build and run every test
	$(SWIFT) build $(RELEASE) --build-tests
	$(WIDTH) $(SWIFT) test $(RELEASE) --skip-build

interop: setup ## Read exported encoders and results with onnxruntime, timm and pandas, in Python
	@$(PYTHON) Tests/interop/check_export.py --packages
	$(SWIFT) build $(RELEASE) --build-tests
	PYTHON=$(PYTHON) $(SWIFT) test $(RELEASE) --skip-build --filter '^ExportTests\.(Graph)?InteropTests|^CommandTests\.PythonDocumentTests'

golden: ## Compute the golden cases in Tests/golden again; needs Python with torch
	$(PYTHON) Tests/golden/make_golden.py

deb: setup ## Build Debian packages into .build/packages
	@bash deploy/make-deb.sh

trydeb: ## Test the packages in a separate Debian system, as root: install, run, upgrade, purge
	@bash deploy/try-deb.sh

tryslurm: ## Test deploy/slurm in a Slurm cluster of one node, as root, after make build
	@bash deploy/slurm/try-slurm.sh

lint: ## Check the format of the sources
	$(SWIFT) format lint --strict --recursive $(SOURCES)

format: ## Format the sources in place
	$(SWIFT) format --in-place --recursive $(SOURCES)

clean: ## Remove the build and the reports of demos
	rm -rf .build runs/demo
