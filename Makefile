# `make test` is `python3 develop.py test`; there stand the commands, and `make help` lists them.
# Settings go behind the command: make lab PIP_ARGS="--extra-index-url ..."

PYTHON ?= python3
COMMANDS := help $(shell sed -n '/^@command/{n;s/def \(.*\)() .*/\1/;s/_/-/g;p;}' develop.py)

.PHONY: $(COMMANDS)
$(COMMANDS):
	@$(PYTHON) develop.py $@
