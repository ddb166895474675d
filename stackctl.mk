# Written by stackctl 0.1.0. Do not edit it: write it again with
# stackctl make --prefix stack --stack hello
# sha256 of what follows: 9f827ddaa282f833b3ee31359c75f76721a6f597d645d74aa8991f49b0218697

# Stands at the end of the Makefile: `include stackctl.mk`. What may be set, before that line or as in
# `make stack-logs S=web`:
#   STACKCTL           the command, as a shell reads it
#   STACK              the stack; where it is empty, the compose file of this folder
#   S                  a service
#   ARGS               further words for the command
#   STACKCTL_INSTALL   what to type where there is no stackctl
STACKCTL ?= stackctl
STACK ?= hello
S ?=
ARGS ?=
STACKCTL_INSTALL ?= run the install.sh of a release of stackctl; STACKCTL_INSTALL may name one

# The default goal stays what it was, and reading this file twice is harmless
stackctl_goal := $(.DEFAULT_GOAL)
stackctl_again ?=

##@ Dev stack

.PHONY: stack-up stack-down stack-restart stack-status stack-logs stack-url stack-shell stack-exec stack-test stack-help stack-tool

stack-up: ## Start the stack, or make it what its file says
$(stackctl_again)stack-up: stack-tool
	@$(STACKCTL) up $(STACK) $(ARGS)

stack-down: ## End it; its data stays
$(stackctl_again)stack-down: stack-tool
	@$(STACKCTL) down $(STACK) $(ARGS)

stack-restart: ## Restart its services, or one: S=web
$(stackctl_again)stack-restart: stack-tool
	@$(STACKCTL) restart $(STACK) $(S) $(ARGS)

stack-status: ## Show how it stands
$(stackctl_again)stack-status: stack-tool
	@$(STACKCTL) status $(STACK) $(ARGS)

stack-logs: ## Show its logs, or of one service: S=web ARGS=--tail=50
$(stackctl_again)stack-logs: stack-tool
	@$(STACKCTL) logs $(STACK) $(S) $(ARGS)

stack-url: ## Print where a service is reached: S=web
$(stackctl_again)stack-url: stack-tool
	@$(STACKCTL) url $(STACK) $(S) $(ARGS)

stack-shell: ## Open a shell in a service: S=web
$(stackctl_again)stack-shell: stack-tool
	@$(STACKCTL) shell $(STACK) $(S) $(ARGS)

stack-exec: ## Run a command in a service: S=web ARGS='ls -l'
$(stackctl_again)stack-exec: stack-tool
	@$(STACKCTL) exec $(STACK) $(S) $(ARGS)

stack-test: ## Run the stack's task called test, beside its services
$(stackctl_again)stack-test: stack-tool
	@$(STACKCTL) run --in "$(STACK)" $(ARGS) test

stack-help: ## List these targets
$(stackctl_again)stack-help:
	@printf '%s\n' \
	  'stack-up       Start the stack, or make it what its file says' \
	  'stack-down     End it; its data stays' \
	  'stack-restart  Restart its services, or one: S=web' \
	  'stack-status   Show how it stands' \
	  'stack-logs     Show its logs, or of one service: S=web ARGS=--tail=50' \
	  'stack-url      Print where a service is reached: S=web' \
	  'stack-shell    Open a shell in a service: S=web' \
	  'stack-exec     Run a command in a service: S=web ARGS='\''ls -l'\''' \
	  'stack-test     Run the stack'\''s task called test, beside its services'

$(stackctl_again)stack-tool:
	@command -v $(STACKCTL) >/dev/null 2>&1 || { \
	  echo 'error: there is no stackctl here' >&2; \
	  echo 'hint: $(STACKCTL_INSTALL)' >&2; \
	  exit 127; }

stackctl_again := $(stackctl_again)again-
.DEFAULT_GOAL := $(stackctl_goal)
