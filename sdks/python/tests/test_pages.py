"""What the pages show works: their Python runs, against a real server; the example does, too."""

import os
import re
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
import standardwebhooks

ROOT = Path(os.environ.get("TASKLANE_ROOT") or Path(__file__).parents[3])
EXAMPLE = ROOT / "examples" / "text-report"
AT_TIMES = ROOT / "docs" / "how-to" / "run-work-at-times.md"
WEBHOOKS = ROOT / "docs" / "how-to" / "send-webhooks.md"
APART = (AT_TIMES, WEBHOOKS)
PAGES = [it for it in sorted(ROOT.glob("docs/**/*.md")) if "```python" in it.read_text() and it not in APART]


def run(folder, url, *arguments):
    env = {**os.environ, "TASKLANE_URL": url, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def working(server):
    """Starts workers; they drain when the test ends, and end well."""
    running = []

    def start(folder, *arguments):
        env = {**os.environ, "TASKLANE_URL": server.url}
        running.append(subprocess.Popen([sys.executable, *arguments], cwd=folder, env=env))

    yield start
    for it in running:
        it.send_signal(signal.SIGTERM)
    assert [it.wait(40) for it in running] == [0] * len(running)


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.stem)
def test_the_python_of_a_page(page, server, folder, working):
    """A block whose first line names a file is that file. `submit.py` runs while the others work."""
    blocks = re.findall(r"```python\n(# (\S+)\n.*?)```", page.read_text(), re.S)
    assert len(blocks) == page.read_text().count("```python"), "a block without a file's name is tried by nobody"
    for text, name in blocks:
        (folder / name).write_text(text)
    for _, name in blocks:
        if name != "submit.py":
            working(folder, name)
    said = run(folder, server.url, "submit.py")
    assert "mailed 7 in de" in said
    assert "permanent there is no order -1" in said


def test_the_page_on_times(server, folder):
    [(text, name)] = re.findall(r"```python\n(# (\S+)\n.*?)```", AT_TIMES.read_text(), re.S)
    (folder / name).write_text(text)
    assert run(folder, server.url, name).splitlines() == ["daily-report comes at [3, 3]", "True"]


def test_the_page_on_webhooks(capsys):
    [(text, _)] = re.findall(r"```python\n(# (\S+)\n.*?)```", WEBHOOKS.read_text(), re.S)
    page = {}
    exec(text, page)  # noqa: S102
    now, body = datetime.now(timezone.utc), '{"type": "task.failed", "data": {"task": "7"}}'
    signed = standardwebhooks.Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign("id", now, body)
    headers = {"webhook-id": "id", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signed}
    assert (page["hook"](headers, body), page["hook"](headers, body + " ")) == (200, 400)
    assert capsys.readouterr().out == "task.failed 7\n"


def test_a_directory_becomes_a_report(server, folder, working):
    working(EXAMPLE, "report.py", "work")
    (folder / "empty.txt").write_text("")
    for file in (EXAMPLE / "texts").iterdir():
        (folder / file.name).write_text(file.read_text())
    env = {**os.environ, "TASKLANE_URL": server.url}
    command = [sys.executable, str(EXAMPLE / "report.py"), "submit", str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "empty.txt is empty" in done.stderr
    assert "4 of 4 files" in done.stderr
    lines = done.stdout.splitlines()
    assert [it.split()[:3] for it in lines[1:4]] == [
        ["harbour.txt", "3", "37"], ["letters.txt", "3", "31"], ["sales.csv", "5", "0"],
    ]  # fmt: skip
    assert lines[4].split() == ["3", "files", "11", "68"]
    assert "pieces: 10, price: 283" in lines[3]


def test_the_example_says_its_progress(server, folder, working):
    sys.path.insert(0, str(EXAMPLE))
    try:
        from report import look, say_progress
    finally:
        sys.path.pop(0)
    said = []

    class Ctx:
        def progress(self, percent, message):
            said.append(percent)

    for number in range(300):
        say_progress(Ctx(), number, 400)
    assert said == [0, 25, 50]
    assert look.local("a.txt", "one two two")["words"] == 3
