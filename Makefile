ENV := scripts/env

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo:  ## play the bundled recording, ask five sentences, write pictures to demo_out/
	$(ENV) textregion demo --out demo_out

test: lint  ## lint and every test but the slow ones
	$(ENV) python -m pytest -m "not slow"

test-full: lint  ## lint and every test
	$(ENV) pip install --quiet --constraint requirements.txt transformers
	$(ENV) python -m pytest

lint:  ## ruff, lint and format
	$(ENV) ruff check .
	$(ENV) ruff format --check .

bench:  ## measure speed and memory, results in benchmark/
	$(ENV) python -m benchmark

clean:  ## remove all that was made
	rm -rf .env build install log demo_out *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo test test-full lint bench clean
