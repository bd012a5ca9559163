# What there is to do; anything longer than a line stands in scripts/.
.DEFAULT_GOAL := help
.PHONY: help build run test chaos versions simulate lint audit bench docs

help: ## say what the targets do
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-8s %s\n", $$1, $$2 }'

build: ## build target/release/tasklane
	cargo build --locked --release --package tasklane-cli

run: build ## build, then serve on this machine with the data in ./.tasklane
	./target/release/tasklane dev

test: ## run every test and story; prints a table of times
	@scripts/test

chaos: ## strike at the program for hours and write what came of it into docs/reference; ONLY=t01 for one story
	@scripts/chaos

versions: ## run the tests of the store on the oldest and the newest PostgreSQL, which it fetches
	@scripts/test-postgres-versions

simulate: ## run SEEDS=1000 seeds of the simulation, or SEED=7 alone with its trace
	@scripts/simulate

lint: ## format, clippy, arrows, sizes, licences, bans; installs its own tools
	@scripts/lint

audit: ## known vulnerabilities in dependencies (needs a network)
	@scripts/audit

bench: ## measure, one JSON object a line; narrow it with ONLY=end_to_end
	@scripts/bench

docs: ## the Rust documentation, in target/doc
	cargo doc --locked --workspace --no-deps
