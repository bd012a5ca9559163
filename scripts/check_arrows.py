#!/usr/bin/env python3
"""Who may depend on whom, and which calls each crate must not make. `--self-test` shows every rule red once."""

import json
import re
import subprocess
import sys
from pathlib import Path

from rust_source import blanked, tracked

# Crate -> crates of the workspace it may depend on. Arrows point downward only.
ARROWS = {
    "core": set(),
    "store": {"core"},
    "runner": {"core"},
    # Knows nothing of tasks: a client for URLs that somebody set.
    "outbound": set(),
    "executors": {"core", "outbound"},
    "connectors": {"core", "outbound"},
    "wire": {"core"},
    "engine": {"runner", "core"},
    "api": {"engine", "wire", "core"},
    "client": {"wire", "runner", "core"},
    "server": {"api", "engine", "store", "runner", "executors", "connectors", "outbound", "wire", "core"},
    # `db` opens a store through server; the shapes it prints and the ids it takes are wire's and core's.
    "cli": {"server", "client", "wire", "core"},
    "testkit": {"core", "wire", "client"},
    # Programs beside the product: they stand on top of everything.
    "bench": {"client", "store", "server", "engine", "runner", "wire", "core", "testkit"},
    "stories": {"client", "runner", "wire", "core", "testkit"},
    "word-counts": {"client"},
    "simulation": {"store", "engine", "runner", "core"},
}

# Crate -> crates its tests may stand on besides testkit: the model store, where the station under test needs one.
TEST_ARROWS = {"engine": {"store"}, "api": {"store"}}

# Crate -> crates.io packages that would let it know what it must not know.
FOREIGN = {
    "core": {"tokio", "rusqlite", "axum", "hyper", "http", "reqwest", "tracing"},
    "store": {"axum", "hyper", "http", "reqwest", "tower"},
    "engine": {"rusqlite", "axum", "hyper", "http", "reqwest", "tower"},
    "runner": {"rusqlite", "axum", "hyper", "http", "reqwest", "tower"},
    "executors": {"rusqlite", "axum"},
    "wire": {"rusqlite", "axum", "tokio"},
    "api": {"rusqlite", "reqwest"},
    "client": {"rusqlite", "axum"},
    "server": {"rusqlite"},
    "cli": {"rusqlite", "axum", "hyper"},
}

SQL = r'"[^"]*\b(SELECT\s.+\sFROM|INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+\w+\s+SET|CREATE\s+(TABLE|INDEX))\b'
WALL_CLOCK = r"\b(SystemTime|Timestamp|Zoned|Utc|Local)::now\s*\(|\bTimeZone::(try_)?system\s*\("
ENVIRONMENT = r"\benv::(var|vars|var_os|set_var)\b"
EVERYONE = set(ARROWS) - {"bench", "stories", "word-counts", "testkit", "simulation"}

# (what it is called, pattern, crates it is forbidden in)
BANNED = [
    ("a wall clock", WALL_CLOCK, set(ARROWS)),
    ("the environment", ENVIRONMENT, EVERYONE - {"server"}),
    ("SQL", SQL, EVERYONE - {"store"}),
    ("rusqlite", r"\brusqlite\b", EVERYONE - {"store"}),
    ("a monotonic clock", r"\bInstant\b", {"core", "wire", "store"}),
    ("files", r"\bstd::fs\b|\bFile::(open|create)\b", {"core", "wire", "engine", "runner", "api", "executors"}),
    ("the network", r"\bstd::net\b|\btokio::net\b", {"core", "wire", "store", "engine", "runner", "executors"}),
    ("threads or waiting", r"\btokio\b|\bstd::thread\b|\basync\b", {"core", "wire"}),
    ("HTTP", r"\b(axum|hyper|http)::", {"core", "store", "engine", "runner", "wire"}),
    ("the end of the process", r"\bprocess::exit\b", EVERYONE - {"cli"}),
]

# (path, what) -> why this file may.
EXCEPTIONS = {
    ("crates/client/src/webhooks.rs", "a wall clock"): "whether a signed message is of about now",
    ("crates/client/src/client.rs", "the environment"): "TASKLANE_URL and TASKLANE_API_KEY, in `from_env` alone",
    ("crates/client/src/worker/serve.rs", "the environment"): "the machine's name, as the worker's label",
    ("crates/executors/src/builtin/default.rs", "a wall clock"): "a demonstration value for people; nothing goes by it",
    ("crates/outbound/src/send.rs", "a wall clock"): "`Retry-After` may be a date",
    ("crates/server/src/clock.rs", "a wall clock"): "the one place that reads the machine's clocks",
    ("crates/server/src/shutdown.rs", "the end of the process"): "a second signal means: at once",
}


def arrow_findings(packages):
    """Dependencies that point where no arrow points."""
    for package in packages:
        name = short(package["name"])
        if name not in ARROWS:
            yield f"{name}: a new crate needs a line in ARROWS"
            continue
        for dependency in package["dependencies"]:
            other, kind = short(dependency["name"]), dependency["kind"]
            if dependency.get("path"):
                in_tests = TEST_ARROWS.get(name, set()) | {"testkit"} if kind == "dev" else set()
                if other not in ARROWS[name] | in_tests:
                    yield f"{name} -> {other}: no such arrow"
                elif other == "testkit" and kind != "dev" and name in EVERYONE:
                    yield f"{name} -> testkit: testkit is for tests only"
            elif kind != "dev" and dependency["name"] in FOREIGN.get(name, ()):
                yield f"{name} -> {dependency['name']}: {name} must not know it"


def short(name):
    return name.removeprefix("tasklane-")


def call_findings(path, text):
    """Banned calls in one file, as (what, sentence)."""
    crate = crate_of(path)
    code = blanked(text, keep_strings=True)
    for what, pattern, crates in BANNED:
        # Tests beside a crate may read what they like, but no test goes by the time of day.
        if crate in crates and ("/tests/" not in path or pattern is WALL_CLOCK):
            for match in re.finditer(pattern, code):
                line = code.count("\n", 0, match.start()) + 1
                yield what, f"{path}:{line}: {crate} must not use {what} ({match[0].strip()})"


def crate_of(path):
    parts = path.split("/")
    return {"bench": "bench", "tests": "stories", "examples": "word-counts"}.get(parts[0], parts[1])


def self_test():
    def package(name, *dependencies):
        listed = [dict(zip(("name", "kind", "path"), it)) for it in dependencies]
        return {"name": name, "dependencies": listed}

    red = [
        package("tasklane-core", ("tokio", None, None)),
        package("tasklane-api", ("tasklane-store", None, "x")),
        package("tasklane-engine", ("tasklane-testkit", None, "x")),
        package("tasklane-new"),
    ]
    assert len(list(arrow_findings(red))) == 4
    green = package("tasklane-engine", ("tasklane-core", None, "x"), ("tasklane-testkit", "dev", "x"))
    assert not list(arrow_findings([green]))

    samples = {
        "a wall clock": "crates/engine/src/a.rs|let t = SystemTime::now();",
        "the environment": "crates/api/src/a.rs|std::env::var(NAME)",
        "SQL": 'crates/api/src/a.rs|let s = "SELECT id FROM task";',
        "rusqlite": "crates/engine/src/a.rs|use rusqlite::Connection;",
        "a monotonic clock": "crates/core/src/a.rs|let t: Instant = now;",
        "files": "crates/core/src/a.rs|std::fs::read(x)",
        "the network": "crates/runner/src/a.rs|use std::net::TcpStream;",
        "threads or waiting": "crates/core/src/a.rs|async fn x() {}",
        "HTTP": "crates/store/src/a.rs|use axum::Router;",
        "the end of the process": "crates/server/src/a.rs|std::process::exit(1)",
    }
    assert set(samples) == {what for what, _, _ in BANNED}, "a rule without a sample was never seen red"
    for what, sample in samples.items():
        path, text = sample.split("|")
        assert what in {it for it, _ in call_findings(path, text)}, what
        assert not list(call_findings(path, f"// {text}")), f"{what}: found in a comment"


def main():
    if "--self-test" in sys.argv:
        self_test()
        return
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"],
        check=True, capture_output=True, text=True,
    )
    wrong = list(arrow_findings(json.loads(metadata.stdout)["packages"]))
    seen = set()
    for path in tracked(".rs"):
        if Path(path).exists():
            for what, sentence in call_findings(path, Path(path).read_text(encoding="utf-8")):
                seen.add((path, what))
                if (path, what) not in EXCEPTIONS:
                    wrong.append(sentence)
    wrong += [f"{path}: no longer uses {what}; take it off the list" for path, what in EXCEPTIONS.keys() - seen]
    print("\n".join(wrong) or "arrows and calls are as the design draws them")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
