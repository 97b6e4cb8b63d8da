# The project's commands; `just` alone lists them. `tests/run` calls the checks below one after another.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the commands.
default:
    @just --list --unsorted

# Runs every check there is, as a build machine does; installs what is missing.
check:
    tests/run

# Runs the tests of the inner loop: everything but what kills, freezes and waits.
test *filter:
    cargo nextest run --locked --all-features {{ filter }}

# Runs all tests: unit, case, property, end-to-end, faults.
test-all:
    cargo nextest run --locked --all-features --ignore-default-filter

# Runs the examples in the documentation comments.
test-docs:
    cargo test --locked --all-features --doc

# Checks the formatting.
format:
    cargo fmt --check

# Lints every target, the long runs included, and refuses what the oldest supported compiler does not have.
lint:
    cargo clippy --locked --all-targets --test soak --test schedules --all-features -- -D warnings

# Checks the spelling of everything a person reads.
spelling:
    typos

# Builds the examples.
examples:
    cargo build --locked --all-features --examples

# Builds the documentation of every item, the private ones included; a broken link is an error.
api-docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --all-features --no-deps --document-private-items

# Installs what the book is made with into target/book-tools, each package by its hash.
book-tools:
    #!/usr/bin/env bash
    set -euo pipefail
    wanted=$(sha256sum <contrib/book/requirements.txt)
    [ "$(cat target/book-tools/.installed 2>/dev/null || true)" != "$wanted" ] || exit 0
    python3 -m venv target/book-tools
    target/book-tools/bin/pip install --quiet --disable-pip-version-check --require-hashes -r contrib/book/requirements.txt
    echo "$wanted" >target/book-tools/.installed

# Builds the documents as a book in target/book; a broken link or anchor, or a page outside the navigation, is an error.
book: book-tools
    target/book-tools/bin/mkdocs build --strict

# Refuses a picture of a page that is not what the demo prints now. Built with the examples, so that nothing is compiled anew.
picture-check: book-tools
    cargo build --locked --all-features --bin watchfire --examples
    target/book-tools/bin/python contrib/book/picture.py --check

# Renders the picture of a page from what the demo prints now.
picture: book-tools
    cargo build --locked --all-features --bin watchfire --examples
    target/book-tools/bin/python contrib/book/picture.py

# Compiles the contracts that tests run against, on the node that the lock file names.
world:
    npm ci --prefix tests/world
    node tests/world/build.mjs

# Compares the benchmarks with the last run on this machine.
bench *filter:
    cargo bench --locked {{ filter }}

# Builds the release binary, stripped, with the line tables of its own code beside it: `target/release/watchfire` and
# `watchfire.debug`. A backtrace names files and lines where both lie in one directory.
release:
    cargo build --locked --release
    cd target/release && objcopy --only-keep-debug --compress-debug-sections=zlib watchfire watchfire.debug
    cd target/release && objcopy --strip-all --add-gnu-debuglink=watchfire.debug watchfire
    ls -l target/release/watchfire target/release/watchfire.debug
