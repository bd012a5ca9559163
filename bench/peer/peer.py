"""Tasklane for a harness that measures task queues side by side; see README.md. TASKLANE_TARGET is the release folder."""

import os
import time
import urllib.request

import harness as h

PORT = 17800
TARGET = os.environ["TASKLANE_TARGET"]
URL = f"http://127.0.0.1:{PORT}"


def server(_mode):
    data = h.fresh("tasklane")
    listen = ["--listen", f"127.0.0.1:{PORT}", "--data-dir", data]
    process = h.spawn([f"{TARGET}/tasklane", "serve", "--no-executors", *listen], log="tasklane")
    h.wait_port(PORT)
    for _ in range(500):
        try:
            urllib.request.urlopen(f"{URL}/ready", timeout=1).close()
            return process
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the server does not become ready")


def make(mode):
    h.SERVERS["tasklane"] = server
    driver = [f"{TARGET}/tasklane-bench", "peer"]
    return h.Peer("tasklane", "tasklane", mode, driver, env={"TASKLANE_URL": URL}, setup=False)


def SETTINGS(_mode):
    """work: (tasks held at once, processes)."""
    return {"n": 200000, "work": [(1500, 1)], "batch": 1000, "lanes": 4}
