"""Turns a directory of text and CSV files into a report: one task a file, then one that joins them.

    python report.py work                  a worker: counts until Ctrl-C, in whatever process it runs
    python report.py submit DIRECTORY      submits a task a file, waits, has the results joined, prints the report

TASKLANE_URL says where the server is.
"""

from __future__ import annotations

import asyncio
import csv
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tasklane import CTX, App, Context, Permanent, TaskFailed

app = App()
Part = dict[str, Any]
STEP = 100
"""Progress is said every so many lines."""


@app.task(name="report.file", queue="reports", timeout="5m")
def look(name: str, text: str, *, ctx: Context = CTX) -> Part:
    """What one file has. The text itself travels, so that worker and submitter need no common disk."""
    lines = text.splitlines()
    if not lines:
        # Trying again would not fill the file.
        raise Permanent(f"{name} is empty")
    print(f"{name}: {len(lines)} lines")  # A log line of the task.
    return (look_at_rows if name.endswith(".csv") else look_at_words)(name, lines, ctx)


def look_at_words(name: str, lines: list[str], ctx: Context) -> Part:
    words: Counter[str] = Counter()
    for number, line in enumerate(lines):
        words.update(word.strip(".,;:!?()\"'").lower() for word in line.split())
        say_progress(ctx, number, len(lines))
    del words[""]
    long = {word: count for word, count in words.items() if len(word) > 3}
    favourite = max(sorted(long), key=lambda word: long[word], default="")
    return {"name": name, "lines": len(lines), "words": sum(words.values()), "note": f"most often: {favourite}"}


def look_at_rows(name: str, lines: list[str], ctx: Context) -> Part:
    rows = csv.DictReader(lines)
    sums: dict[str, float] = {}
    for number, row in enumerate(rows):
        for column, value in row.items():
            try:
                sums[column] = sums.get(column, 0.0) + float(value)
            except (TypeError, ValueError):
                continue
        say_progress(ctx, number, len(lines))
    note = ", ".join(f"{column}: {total:g}" for column, total in sums.items())
    return {"name": name, "lines": len(lines), "words": 0, "note": f"sums: {note}"}


def say_progress(ctx: Context, number: int, most: int) -> None:
    if number % STEP == 0:
        ctx.progress(100 * number / most, f"line {number} of {most}")


@app.task(name="report.join", queue="reports", timeout="1m")
def join(parts: list[Part]) -> str:
    """The report, from what was found in each file."""
    rows = [f"{it['name']:<24} {it['lines']:>7} {it['words']:>7}  {it['note']}" for it in parts]
    total = f"{len(parts)} files".ljust(24) + f" {sum(it['lines'] for it in parts):>7} {sum(it['words'] for it in parts):>7}"
    return "\n".join([f"{'file':<24} {'lines':>7} {'words':>7}", *rows, total])


async def submit(directory: Path) -> str:
    """The report of a directory. Files whose task failed are named on stderr and left out."""
    files = sorted(it for it in directory.iterdir() if it.suffix in (".txt", ".csv"))
    # All of them travel in one request.
    handles = await asyncio.gather(*[look.enqueue(it.name, it.read_text(errors="replace")) for it in files])
    parts: list[Part] = []
    for number, handle in enumerate(handles, 1):
        try:
            parts.append(await handle.result(timeout="10m"))
        except TaskFailed as failure:
            print(failure.message, file=sys.stderr)
        print(f"{number} of {len(files)} files", file=sys.stderr)
    return await (await join.enqueue(parts)).result(timeout="2m")


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        app.run(concurrency=4)
    elif len(sys.argv) == 3 and sys.argv[1] == "submit":
        print(asyncio.run(submit(Path(sys.argv[2]))))
    else:
        sys.exit(__doc__)
