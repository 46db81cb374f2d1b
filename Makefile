# Every target is one task of run.py, so that both ways do the same.
# The first interpreter found that is new enough is used; choose another with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	"$$p" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

.PHONY: demo test test-slow test-readers lint bench clean

demo test test-slow test-readers lint bench clean:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; install one or use make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) run.py $@
