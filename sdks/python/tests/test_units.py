"""What needs no server: durations, options, arguments, outcomes."""

import asyncio
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from tasklane import CTX, App, Cancelled, Limit, Permanent, Retry, RetryIn, Snooze, Unique
from tasklane.duration import seconds, text
from tasklane.http import Http
from tasklane.options import members
from tasklane.signature import Signature, Unfit
from tasklane.worker import call
from tasklane.worker.keeper import Keeper
from tasklane.worker.ledger import Ledger
from tasklane.worker.pump import Pump


@pytest.mark.parametrize(
    ("value", "on_the_wire"),
    [(0, "0s"), (90, "90s"), (1.5, "1500ms"), (0.0001, "1ms"), (0.1 + 0.2, "300ms"), (timedelta(minutes=2), "120s"),
     ("1h30m", "5400s"), ("250ms", "250ms"), ("1d", "86400s")],
)  # fmt: skip
def test_durations_go_out_as_texts(value, on_the_wire):
    assert text(value) == on_the_wire


@pytest.mark.parametrize("odd", ["", "5", "5 s", "-5s", "1m1m", "1s1m", "01s", "1.5s", -1, float("nan"), 10**12])
def test_odd_durations_are_refused(odd):
    with pytest.raises(ValueError):
        seconds(odd)


@pytest.mark.parametrize("odd", [True, None, b"5s"])
def test_what_is_no_duration_is_a_type_error(odd):
    with pytest.raises(TypeError):
        seconds(odd)


def test_options_become_members_of_the_api():
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    assert members({"timeout": "2m", "run_at": at, "retry": ["5s", 60], "unique": "k", "delay": None}) == {
        "attempt_timeout": "120s",
        "run_at": "2030-01-02T02:04:05.000000Z",
        "retry": {"delays": ["5s", "60s"], "jitter": False},
        "unique": {"key": "k", "policy": "return"},
    }
    assert members({"retry": Retry(initial=2)})["retry"] == {"initial": "2s", "factor": 2, "max": "600s", "jitter": True}
    assert members({"unique": Unique("k", "reject", hold="1h")})["unique"]["for"] == "3600s"
    assert members({"limits": ["a", Limit("b", 3, rate=(100, "1m")), Limit("c", rate=(1, 2))]})["limits"] == [
        {"key": "a"},
        {"key": "b", "max_running": 3, "rate": {"count": 100, "per": "60s"}},
        {"key": "c", "rate": {"count": 1, "per": "2s"}},
    ]


def test_odd_options_are_refused_where_they_are_said():
    with pytest.raises(TypeError, match="no option"):
        members({"colour": "red"})
    with pytest.raises(ValueError, match="exclude"):
        members({"delay": 1, "run_at": datetime.now(timezone.utc)})
    with pytest.raises(ValueError, match="time zone"):
        members({"run_at": datetime(2030, 1, 1)})
    with pytest.raises(ValueError, match=r"\['smtp'\]"):
        members({"limits": "smtp"})
    with pytest.raises(ValueError, match="no duration"):
        App().task(timeout="soon")(len_of)


def len_of(text, times=1, *, ctx=CTX):
    return len(text) * times


def test_arguments_travel_by_name():
    signature = Signature(len_of)
    assert signature.payload(("a",), {"times": 2}) == {"text": "a", "times": 2}
    assert signature.arguments({"text": "a"}) == {"text": "a"}
    for args, kwargs in [((), {}), (("a", 1, 2), {}), (("a",), {"text": "b"}), (("a",), {"more": 1}), (("a",), {"ctx": 1})]:
        with pytest.raises(TypeError):
            signature.payload(args, kwargs)
    for payload in [{}, {"text": "a", "more": 1}, ["a"], None]:
        with pytest.raises(Unfit):
            signature.arguments(payload)


def test_a_payload_that_is_no_object_is_the_only_parameter():
    assert Signature(lambda text: text).arguments([1]) == {"text": [1]}
    assert Signature(lambda: None).arguments(None) == {}
    assert Signature(lambda **more: more).arguments({"a": 1}) == {"a": 1}
    with pytest.raises(TypeError, match="no name in a payload"):
        Signature(lambda *texts: texts)


def test_a_plain_call_needs_no_server():
    app = App("http://127.0.0.1:1")

    @app.task()
    def size(text, *, ctx=CTX):
        ctx.progress(10)
        ctx.log("sizing", chars=len(text))
        ctx.checkpoint("at", 1)
        ctx.heartbeat()
        assert not ctx.cancelled
        return len(text)

    assert size.local("abc") == size("abc") == 3


def test_names_are_unique_and_options_do_not_stick():
    app = App()
    task = app.task(queue="a")(len_of)
    assert task.with_(queue="b").with_(priority=3)._members == {"queue": "b", "priority": 3}
    assert task._members == {"queue": "a"}
    with pytest.raises(ValueError, match="two tasks"):
        app.task()(len_of)
    with pytest.raises(TypeError):
        task.with_(colour="red")


class Rude(Exception):
    def __str__(self):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("error", "name", "part"),
    [(ValueError("no"), "fail", '"kind":"error","message":"ValueError: no","stack":"'),
     (Permanent("never", {"a": 1}), "fail", '"kind":"permanent","message":"never","details":{"a":1}'),
     (RetryIn("5s", "busy"), "fail", '"message":"busy","retry_after":"5s"'),
     (Snooze(2), "snooze", '"for":"2s"'),
     (MemoryError(), "fail", '"kind":"out_of_memory"'),
     (asyncio.CancelledError(), "fail", '"kind":"error","message":"CancelledError"'),
     (Rude(), "fail", "its text cannot be had"),
     (Cancelled(), "cancelled", "")],
)  # fmt: skip
def test_what_is_raised_becomes_an_outcome(error, name, part):
    kind, said = call.failed(error)
    assert kind == name
    assert part in said


@pytest.mark.parametrize("result", [{1, 2}, float("inf"), "\ud800", "x" * (1 << 20), "ä" * (1 << 19)])
def test_a_result_that_cannot_go_fails_for_good(result):
    assert call.succeeded(result)[1].startswith(',"kind":"permanent"')


def test_importing_does_nothing():
    code = """if True:
        import logging, os, signal, sys, threading
        os.environ["TASKLANE_URL"] = "http://before"
        before = sys.stdout, logging.getLogger().handlers[:], signal.getsignal(signal.SIGTERM)
        import tasklane
        app = tasklane.App()
        app.task()(lambda: None)
        os.environ["TASKLANE_URL"] = "http://after"
        assert app.url == "http://after"
        assert threading.active_count() == 1
        assert before == (sys.stdout, logging.getLogger().handlers, signal.getsignal(signal.SIGTERM))
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("lease", "fresh", "late"), [(30.0, 23.0, 24.0), (3.0, 2.0, 2.3)])
def test_what_cannot_be_renewed_is_told_to_stop_while_its_lease_lasts(lease, fresh, late):
    keeper = Keeper({"lease": lease})
    keeper.take({"hold": [["id", "token"]], "since": 100.0})
    assert keeper.late(100.0 + fresh) == []
    assert keeper.late(100.0 + late) == ["token"]
    assert keeper.late(100.0 + late) == [], "once"


def test_a_lease_counts_from_when_it_was_asked_for():
    said = []

    class Keep:
        def say(self, hold, drop=(), since=None):
            said.append(([it.lease for it in hold], since))

    async def absorb():
        pump = Pump(Http("http://127.0.0.1:1", None), Ledger(1), "w", [], 30.0, 20.0, lambda _: 0, print)
        pump._keep = Keep()
        leased = {"id": "i", "lease": "l", "type": "t", "queue": "q"}
        pump._absorb(pump._planner.plan(), {"tasks": [leased]}, 100.0)

    asyncio.run(absorb())
    assert said == [(["l"], 100.0)]
