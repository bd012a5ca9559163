"""What befalls attempts inside a worker, without a server: runs that break, and reports that are refused."""

import errno
import json

import pytest
from conftest import until

from tasklane import CTX, App
from tasklane.worker import processes
from tasklane.worker.attempt import Attempt
from tasklane.worker.ledger import PLAIN, Ledger
from tasklane.worker.plan import Planner
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


def reports(planner, ledger, refuses):
    """Reports until nothing is left to be said; what was accepted, and what was dropped."""
    accepted, dropped = [], []
    for _ in range(1000):
        with ledger.lock:
            ledger.due.update(ledger.talking)
            ledger.talking.clear()
            plan = planner.plan()
        if plan is None or not plan.speaks:
            return accepted, [it for it in dropped if it]
        body = plan.report("w", None)
        with ledger.lock:
            if refuses(body):
                dropped.append(planner.refused(plan, "no"))
            else:
                accepted.append(json.loads(body))
                planner.answered(plan, 0)
    raise AssertionError("it does not end")


def said(accepted, name):
    return [item["id"] for report in accepted for item in report.get(name, [])]


@pytest.mark.parametrize("poison", ["words", "outcome"])
def test_what_is_refused_takes_nothing_else_with_it(poison):
    ledger = Ledger(100)
    planner = Planner(ledger, 20.0)
    attempts = [held(ledger, number) for number in range(100)]
    for attempt in attempts:
        bad = attempt.id == "id37"
        attempt.checkpoint("poison" if bad and poison == "words" else "good", 1)
        attempt.log("info", "line", None)
        if attempt.order % 2:
            with ledger.lock:
                ledger.end(attempt, ("succeed", ',"result":"poison"' if bad and poison == "outcome" else ""))
    accepted, dropped = reports(planner, ledger, lambda body: b"poison" in body)
    assert len(dropped) == 1
    everyone = {it.id for it in attempts}
    assert set(said(accepted, "checkpoints")) == everyone - ({"id37"} if poison == "words" else set())
    ended = {it.id for it in attempts if it.order % 2}
    assert set(said(accepted, "succeed")) == ended - ({"id37"} if poison == "outcome" else set())
    assert said(accepted, "fail") == ([] if poison == "words" else ["id37"])


def test_what_an_attempt_says_goes_in_one_report_at_a_time():
    ledger = Ledger(1)
    planner, attempt = Planner(ledger, 20.0), held(ledger, 0)
    for _ in range(6_000):
        attempt.log("info", "line", None)
    with ledger.lock:
        ledger.end(attempt, ("succeed", ""))
        first, second = planner.plan(), planner.plan()
        assert len(first.words[0].logs) == 5_000
        assert second is None or not second.speaks
        planner.answered(first, 0)
        last = planner.plan()
    assert len(last.words[0].logs) == 1_000 and [it.id for it, _ in last.outcomes] == ["id0"]


def test_a_report_carries_lists_of_bounded_length():
    ledger = Ledger(1)
    attempt = held(ledger, 0)
    for number in range(25_000):
        attempt.checkpoint(str(number % 9), number)
    accepted, _ = reports(Planner(ledger, 20.0), ledger, lambda _: False)
    assert len(said(accepted, "checkpoints")) == 25_000
    assert max(len(it["checkpoints"]) for it in accepted) <= 10_000


@pytest.mark.parametrize("name", ["", "a\n", "\x85", "x" * 201, "\u00e4" * 101, "\ud800"])
def test_the_name_of_a_checkpoint_is_checked_where_it_is_given(name):
    with pytest.raises(ValueError, match="1 to 200 bytes"):
        CTX.checkpoint(name, 1)
