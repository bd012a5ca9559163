#!/usr/bin/env python3
"""Files stop at 500 lines, functions at 60. `--self-test` shows the check red on text that is too long."""

import sys
from pathlib import Path

from rust_source import functions, tracked

FILE_LINES = 500
FUNCTION_LINES = 60

# "path" or "path::function" -> why it may be longer.
EXCEPTIONS = {}


def findings(path, text):
    """What of this file is too long, as (what, sentence)."""
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield path, f"{path}: {lines} lines, at most {FILE_LINES}"
    if path.endswith(".rs"):
        for name, first, length in functions(text):
            if length > FUNCTION_LINES:
                yield f"{path}::{name}", f"{path}:{first}: fn {name} has {length} lines, at most {FUNCTION_LINES}"


def self_test():
    body = "    let x = '{'; // }\n" * FUNCTION_LINES
    long_function = 'fn short() {}\nfn declared(a: [u8; 2]);\nimpl X {\nfn long<T>(t: T) {\n' + body + "}\n}\n"
    assert [what for what, _ in findings("a.rs", long_function)] == ["a.rs::long"]
    assert [what for what, _ in findings("a.py", "x\n" * (FILE_LINES + 1))] == ["a.py"]
    assert not list(findings("a.rs", "fn short() {\n" + "x();\n" * (FUNCTION_LINES - 2) + "}\n"))


def main():
    if "--self-test" in sys.argv:
        self_test()
        return
    found = []
    for path in tracked(".rs", ".py", ".sh"):
        if Path(path).exists():
            found += findings(path, Path(path).read_text(encoding="utf-8"))
    stale = [what for what in EXCEPTIONS if what not in {it for it, _ in found}]
    wrong = [sentence for what, sentence in found if what not in EXCEPTIONS]
    wrong += [f"{what}: no longer too long; take it off the list of exceptions" for what in stale]
    print("\n".join(wrong) or "files and functions are within their sizes")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
