"""What befalls attempts inside a worker, without a server: runs that break."""

import errno

import pytest
from conftest import until

from tasklane import App
from tasklane.worker import processes
from tasklane.worker.attempt import Attempt
from tasklane.worker.ledger import PLAIN, Ledger
from tasklane.worker.processes import Process
from tasklane.worker.threads import Threads


def held(ledger, number):
    attempt = Attempt({"id": f"id{number}", "lease": f"lease{number}", "type": "t"}, 0.0, number, ledger)
    with ledger.lock:
        ledger.take_in([(attempt, PLAIN)])
    return attempt


def test_an_attempt_whose_run_breaks_has_failed():
    ledger = Ledger(2)

    def run(attempt):
        if attempt.id == "id1":
            raise RuntimeError("broken")
        return "succeed", ""

    threads = Threads(ledger, lambda: run)
    ledger.offer[PLAIN] = threads.offer
    for number in range(4):
        held(ledger, number)
    until(lambda: len(ledger.outbox) == 4, 5)
    outcomes = {attempt.id: outcome for attempt, outcome in ledger.outbox}
    assert outcomes["id1"][0] == "fail" and "RuntimeError: broken" in outcomes["id1"][1]
    assert [outcomes[it] for it in ("id0", "id2", "id3")] == [("succeed", "")] * 3


@pytest.fixture
def process():
    app = App()
    process = Process({"t": app.task(name="t")(lambda: None)})
    yield process
    process.end()


def test_a_process_that_cannot_begin_is_a_failure(process, monkeypatch):
    class Spawn:
        Pipe = processes._spawn.Pipe

        class Process:
            def __init__(self, **_):
                pass

            def start(self):
                raise BlockingIOError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(processes, "_spawn", Spawn())
    for number in range(2):
        kind, members = process(held(Ledger(1), number))
        assert kind == "fail" and "no more processes" in members


def test_a_process_that_cannot_be_followed_is_replaced(process, monkeypatch):
    attempts = [held(Ledger(1), number) for number in range(2)]
    monkeypatch.setattr(process, "_listen", lambda _: {}["no such word"])
    kind, members = process(attempts[0])
    assert kind == "fail" and "no such word" in members
    assert process._process is None
    assert attempts[0].on_force is None
    monkeypatch.undo()
    # The task is not one at the top of a module; that the new process says so is what counts.
    assert process(attempts[1])[0] == "fail"
    assert process._process.is_alive()
