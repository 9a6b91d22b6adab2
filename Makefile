ENV := scripts/env

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo:  ## play the bundled recording, ask seven sentences, write pictures to demo_out/
	$(ENV) textregion demo --out demo_out

test: lint  ## lint and every test but the slow ones
	$(ENV) python -m pytest -m "not slow"

test-full: lint  ## lint and every test
	$(ENV) python -m pytest

fuzz:  ## every property with new examples, and 50 times as many
	$(ENV) python -m pytest --hypothesis-profile fuzz -m hypothesis --timeout 0

lint:  ## ruff, lint and format, and mypy
	$(ENV) ruff check .
	$(ENV) ruff format --check .
	$(ENV) mypy

bench:  ## measure speed and memory, results in benchmark/
	$(ENV) python -m benchmark

clean:  ## remove all that was made
	rm -rf .env .env-* build install log demo_out *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo test test-full fuzz lint bench clean
