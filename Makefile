# Both make the virtual environment when it is missing: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo detector study test test-slow lint types clean
.DELETE_ON_ERROR:

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade-strategy only-if-needed --editable '.[demo,dev]'
	touch $@

demo: .venv/installed
	$(BIN)/dfgame demo

# The detector in the box, again: PHOTOGRAPHS of real faces to learn from, VALIDATION of other people to choose by. Files
# that cannot be used are named (exit code 1), and the rest is done.
OUT ?= detector
SEEDS ?= 0 1 2
RECIPE ?= recipes/detector.toml
detector: .venv/installed
	@test -n "$(PHOTOGRAPHS)" -a -n "$(VALIDATION)" || \
		{ echo "usage: make detector PHOTOGRAPHS=folder VALIDATION=folder [OUT=folder] [SEEDS='0 1 2'] [RECIPE=file]" >&2; exit 2; }
	@test -z "$$(for folder in "$(PHOTOGRAPHS)" "$(VALIDATION)"; do find "$$folder" -type f -exec sha256sum {} + | cut -d' ' -f1 | sort -u; \
		done | sort | uniq -d)" || { echo "PHOTOGRAPHS and VALIDATION: have files in common; validate on other people" >&2; exit 2; }
	$(BIN)/dfgame forge "$(VALIDATION)" "$(OUT)/validation" --size 480 --frames 16 --cameras many --split 0 0.5 0.5 || [ $$? -eq 1 ]
	$(BIN)/dfgame extract "$(OUT)/validation" "$(OUT)/crops" --frames 16 --no-masks || [ $$? -eq 1 ]
	$(BIN)/dfgame extract "$(PHOTOGRAPHS)" "$(OUT)/crops" --frames 16 --layout photographs --name photographs --no-masks || [ $$? -eq 1 ]
	for seed in $(SEEDS); do $(BIN)/dfgame train "$(OUT)/crops/manifest.parquet" "$(OUT)/runs/detector-$$seed" \
		--config "$(RECIPE)" --seed $$seed --resume || exit 1; done
	$(BIN)/dfgame evaluate "$(OUT)/crops/manifest.parquet" $(foreach seed,$(SEEDS),"$(OUT)/runs/detector-$(seed)") \
		--protocol recipes/photographs.toml --checkpoint last --out "$(OUT)/evaluation"
	$(BIN)/dfgame calibrate "$(OUT)/crops/manifest.parquet" "$(OUT)/detector.safetensors" \
		$(foreach seed,$(SEEDS),"$(OUT)/runs/detector-$(seed)") --checkpoint last --datasets "mini FaceForensics++" --overwrite

# The study: every player, on each forgery, with several seeds. FACES: photographs of people; without it, the ORL faces.
SECONDS ?= 300
study: OUT = study
study: .venv/installed
	$(BIN)/python benchmarks/study.py "$(OUT)" $(if $(FACES),--faces "$(FACES)") --seconds $(SECONDS)

test: lint types
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses logical --dist loadfile

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/installed
	$(BIN)/pyright

clean:
	rm -rf .venv demo
