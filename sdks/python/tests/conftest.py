"""A real server for the tests: `TASKLANE_BIN` on a private port, with its data in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tasklane import App

HERE = Path(__file__).parent
START_SECONDS = 30
BINARY = os.environ.get("TASKLANE_BIN") or str(HERE.parents[2] / "target" / "ci" / "tasklane")


class Server:
    """A server process that can be stopped and started again."""

    def __init__(self, folder: Path, *arguments: str):
        self.folder, self.arguments = folder, arguments
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.environment = {}

    def start(self):
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--data-dir", str(self.folder / "data"), *self.arguments]
        env = {key: value for key, value in os.environ.items() if not key.startswith("TASKLANE_")}
        env.update(self.environment)
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url + "/ready", timeout=5).close()
                return self
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < end, "the server does not become ready"
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "--no-executors").start()
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path):
    """A server for one test, which may strike at it."""
    server = Server(tmp_path, "--no-executors").start()
    yield server
    server.kill()


@pytest.fixture
def app(server):
    return App(server.url)


@pytest.fixture
def work():
    """Starts a worker in a thread; it drains when the test ends."""
    running = []

    def start(app, concurrency=4, **options):
        worker = app.worker(concurrency, **{"wait": 1, **options})
        thread = threading.Thread(target=worker.run)
        thread.start()
        running.append((worker, thread))
        return worker

    yield start
    for worker, thread in running:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive(), "the worker does not end"


class Program:
    """A Python program of the folder `programs` in a process of its own; it says lines."""

    def __init__(self, url, name, *arguments):
        env = {**os.environ, "TASKLANE_URL": url, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, str(HERE / "programs" / name), *arguments]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)

    def says(self, line):
        """Reads until this line."""
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"the program ended without saying {line!r}")

    def signal(self, number):
        self.process.send_signal(number)

    def ends(self):
        """Its exit status."""
        return self.process.wait(40)


@pytest.fixture
def program(server):
    started = []

    def start(name, *arguments, url=server.url):
        started.append(Program(url, name, *arguments))
        return started[-1]

    yield start
    for it in started:
        if it.process.poll() is None:
            it.signal(signal.SIGCONT)
            it.process.kill()
        it.process.stdout.close()
        it.process.wait()


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def until(holds, seconds=20.0):
    """Waits until `holds()` is true; its value."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)
    return value
