"""Handlers in a worker of the test's own process, against a real server."""

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import until

from tasklane import CTX, App, Cancelled, Permanent, Refused, RetryIn, Snooze, TaskCancelled, TaskFailed
from tasklane.worker import ledger, settings

quick = {"retry": ["10ms"]}


@pytest.fixture
def app(server, request):
    """An app whose types are of this test alone."""
    app = App(server.url)
    task = app.task
    app.task = lambda **options: (
        lambda function: task(name=f"{request.node.name}.{function.__name__}"[:200].replace("[", "-").replace("]", ""),
                              **options)(function)
    )  # fmt: skip
    return app


def test_plain_and_coroutine_handlers_return_results(app, work):
    @app.task()
    def double(number):
        return number * 2

    @app.task()
    async def triple(number, *, plus=0):
        await asyncio.sleep(0)
        return number * 3 + plus

    work(app)
    handles = [double.enqueue_sync(it) for it in range(50)] + [triple.enqueue_sync(it, plus=1) for it in range(50)]
    results = [it.result_sync("20s") for it in handles]
    assert results == [it * 2 for it in range(50)] + [it * 3 + 1 for it in range(50)]


def test_a_handler_knows_its_attempt(app, work):
    @app.task(labels={"a": "b"}, max_attempts=2, **quick)
    def about(*, ctx=CTX):
        if ctx.attempt == 1:
            raise ValueError("again")
        return [ctx.id, ctx.type, ctx.queue, ctx.attempt, ctx.tenant, dict(ctx.labels), ctx.cancelled]

    work(app)
    handle = about.with_(tenant="t", queue="about").enqueue_sync()
    assert handle.result_sync(20) == [handle.id, about.name, "about", 2, "t", {"a": "b"}, False]


def test_failures_say_what_happened(app, work):
    @app.task(max_attempts=2, **quick)
    def broken():
        raise ValueError("no such thing")

    @app.task()
    async def never():
        raise Permanent("give up", details={"code": 7})

    work(app)
    with pytest.raises(TaskFailed) as caught:
        broken.enqueue_sync().result_sync(20)
    assert (caught.value.kind, caught.value.message) == ("error", "ValueError: no such thing")
    assert "in broken" in caught.value.failure["stack"]
    handle = never.enqueue_sync()
    with pytest.raises(TaskFailed, match="give up") as caught:
        handle.result_sync(20)
    assert (caught.value.kind, caught.value.failure["details"]) == ("permanent", {"code": 7})
    assert handle.task_sync()["attempt"] == 1


def test_a_handler_may_ask_for_its_next_time(app, work):
    @app.task(retry=["1h"])
    def moody(*, ctx=CTX):
        if ctx.attempt == 1:
            raise RetryIn(0.01, "busy")
        if ctx.attempt == 2:
            raise Snooze("10ms")
        return ctx.attempt

    work(app)
    handle = moody.enqueue_sync()
    assert handle.result_sync(20) == 3
    assert handle.task_sync()["spent"] == 2


def test_a_payload_that_does_not_fit_fails_for_good(app, work):
    @app.task()
    def size(text):
        return len(text)

    work(app)
    with pytest.raises(TaskFailed, match="lacks text") as caught:
        app.enqueue_sync(size.name, {}).result_sync(20)
    assert caught.value.kind == "permanent"
    assert app.enqueue_sync(size.name, "plain").result_sync(20) == 5


def test_an_outcome_the_server_refuses_becomes_a_failure_that_says_so(app, work):
    @app.task()
    def deep(levels):
        value = []
        for _ in range(levels):
            value = [value]
        return value

    work(app)
    good = [deep.enqueue_sync(1) for _ in range(20)]
    bad = deep.enqueue_sync(300)
    with pytest.raises(TaskFailed, match="refused the handler's outcome") as caught:
        bad.result_sync(20)
    assert caught.value.kind == "rejected"
    assert all(it.result_sync(20) == [[]] for it in good)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_never_more_handlers_at_once_than_said(app, work, concurrency):
    running, most, lock = 0, 0, threading.Lock()

    def count(step):
        nonlocal running, most
        with lock:
            running += step
            most = max(most, running)

    @app.task()
    def plain():
        count(1)
        time.sleep(0.02)
        count(-1)

    @app.task()
    async def coroutine():
        count(1)
        await asyncio.sleep(0.02)
        count(-1)

    handles = [it.enqueue_sync() for it in (plain, coroutine) * 10]
    work(app, concurrency)
    for it in handles:
        it.result_sync(20)
    assert most == concurrency


def test_long_tasks_are_not_leased_ahead(app, work):
    begun, gate = threading.Event(), threading.Event()

    @app.task()
    def slow():
        begun.set()
        gate.wait(20)

    handles = [slow.enqueue_sync() for _ in range(5)]
    work(app, 2)
    begun.wait(20)
    states = [it.task_sync()["state"] for it in handles]
    gate.set()
    assert states.count("queued") >= 3
    for it in handles:
        it.result_sync(20)


def test_a_cancelled_handler_is_told(app, work):
    begun = threading.Event()

    @app.task()
    def polite(*, ctx=CTX):
        begun.set()
        while not ctx.cancelled:
            time.sleep(0.01)
        raise Cancelled

    @app.task()
    async def coroutine():
        begun.set()
        await asyncio.sleep(3600)

    work(app)
    for task in (polite, coroutine):
        begun.clear()
        handle = task.enqueue_sync()
        assert begun.wait(20)
        handle.cancel_sync()
        with pytest.raises(TaskCancelled):
            handle.result_sync(20)


def test_a_cancellation_is_heard_at_once_though_every_slot_is_taken(app, work):
    begun = threading.Semaphore(0)

    @app.task()
    async def long():
        begun.release()
        await asyncio.sleep(3600)

    work(app, 2)
    handles = [long.enqueue_sync() for _ in range(2)]
    for _ in handles:
        assert begun.acquire(timeout=20)
    time.sleep(settings.LISTEN_AFTER + 3 * settings.TICK)
    for it in handles:
        it.cancel_sync()
        with pytest.raises(TaskCancelled):
            it.result_sync(timeout=5)  # Renewals, after a quarter of a lease of 30 s, would be too late.


def test_a_deaf_handler_is_made_to_stop(app, work, monkeypatch):
    monkeypatch.setattr(settings, "FORCE_AFTER", 0.1)
    begun, ended = threading.Event(), []

    @app.task()
    def deaf():
        begun.set()
        try:
            while True:
                time.sleep(0.01)
        except Exception:
            ended.append("swallowed")
        finally:
            ended.append("ended")

    @app.task()
    def after():
        return "goes on"

    work(app, 1)
    handle = deaf.enqueue_sync()
    assert begun.wait(20)
    handle.cancel_sync()
    with pytest.raises(TaskCancelled):
        handle.result_sync(20)
    assert ended == ["ended"]
    assert after.enqueue_sync().result_sync(20) == "goes on"


def test_a_handler_that_cannot_be_stopped_is_left_behind(app, work, monkeypatch):
    for name in ("FORCE_AFTER", "CANCEL_GRACE"):
        monkeypatch.setattr(settings, name, 0.1)
    begun, gate = threading.Event(), threading.Event()

    @app.task()
    def stone():
        begun.set()
        gate.wait(30)

    @app.task()
    def after():
        return "goes on"

    work(app, 1)
    handle = stone.enqueue_sync()
    assert begun.wait(20)
    handle.cancel_sync()
    with pytest.raises(TaskCancelled):
        handle.result_sync(20)
    assert after.enqueue_sync().result_sync(20) == "goes on"
    gate.set()


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_an_attempt_that_takes_too_long_fails(app, work, kind, monkeypatch):
    monkeypatch.setattr(settings, "FORCE_AFTER", 0.1)

    @app.task(timeout=0.2, max_attempts=1)
    def plain():
        while True:
            time.sleep(0.01)

    @app.task(timeout=0.2, max_attempts=1)
    async def coroutine():
        await asyncio.sleep(3600)

    work(app)
    with pytest.raises(TaskFailed) as caught:
        {"plain": plain, "coroutine": coroutine}[kind].enqueue_sync().result_sync(20)
    assert caught.value.kind == "timeout"


def test_progress_is_seen_while_it_runs(app, work):
    gate = threading.Event()

    @app.task()
    def report(*, ctx=CTX):
        ctx.progress(50, "half", data={"rows": 3})
        gate.wait(20)

    work(app)
    handle = report.enqueue_sync()
    seen = until(lambda: handle.task_sync().get("progress"))
    assert seen == {"percent": 50, "message": "half", "data": {"rows": 3}}
    gate.set()
    handle.result_sync(20)


def test_heartbeats_keep_a_silent_handler_alive(app, work):
    @app.task(heartbeat_timeout="1s", max_attempts=1)
    def beating(*, ctx=CTX):
        for _ in range(25):
            ctx.heartbeat()
            time.sleep(0.1)
        return "alive"

    @app.task(heartbeat_timeout="1s", max_attempts=1)
    def silent():
        time.sleep(2.5)

    work(app)
    alive, dead = beating.enqueue_sync(), silent.enqueue_sync()
    assert alive.result_sync(20) == "alive"
    with pytest.raises(TaskFailed):
        dead.result_sync(20)


def test_handlers_enqueue_other_tasks(app, work):
    @app.task()
    def child(number):
        return number + 1

    @app.task()
    def plain(number):
        return child.enqueue_sync(number).result_sync(20)

    @app.task()
    async def coroutine(number):
        return await (await child.enqueue(number)).result(20)

    work(app)
    assert plain.enqueue_sync(1).result_sync(20) == 2
    assert coroutine.enqueue_sync(2).result_sync(20) == 3


def test_what_waits_behind_a_slow_task_is_given_back(app, work):
    """Quick tasks are leased ahead; when one turns out slow, others get those behind it."""
    gate, begun = threading.Event(), threading.Event()

    @app.task()
    def mixed(slow):
        if slow:
            begun.set()
            gate.wait(30)

    quick_ones = [mixed.enqueue_sync(False) for _ in range(100)]
    slow = mixed.enqueue_sync(True)
    behind = [mixed.enqueue_sync(False) for _ in range(50)]
    work(app, 1)
    assert begun.wait(20)
    until(lambda: all(it.task_sync()["state"] == "queued" for it in behind))
    gate.set()
    for it in [*quick_ones, slow, *behind]:
        it.result_sync(20)
    assert all(it.task_sync()["spent"] == 1 for it in behind)


def test_a_worker_survives_its_server(own_server, work):
    app = App(own_server.url)
    begun, gate = threading.Event(), threading.Event()

    @app.task()
    def wait():
        begun.set()
        gate.wait(20)
        return "done"

    work(app, 1)
    handle = wait.enqueue_sync()
    assert begun.wait(20)
    own_server.kill()
    gate.set()
    own_server.start()
    assert handle.result_sync(30) == "done"
    assert handle.task_sync()["attempt"] == 1


class Refuses(BaseHTTPRequestHandler):
    """A server that lets nobody work."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"status":401,"code":"unauthorized","detail":"show a key"}'
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_worker_that_may_not_work_says_so():
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        app = App(f"http://127.0.0.1:{server.server_port}", api_key="wrong")
        app.task(name="never")(lambda: None)
        with pytest.raises(Refused, match="show a key") as caught:
            app.worker(1).run()
        server.shutdown()
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")


def test_words_of_an_attempt_go_before_its_outcome():
    """A unit test of the ledger: the outcome waits for the report that carries the words."""
    from tasklane.worker.attempt import Attempt
    from tasklane.worker.plan import Planner

    book = ledger.Ledger(2)
    attempt = Attempt({"id": "i", "lease": "l", "type": "t"}, time.monotonic(), 1, book)
    planner = Planner(book, 1)
    with book.lock:
        book.take_in([(attempt, ledger.PLAIN)])
        assert book.next(ledger.PLAIN) is attempt
    attempt.log("info", "a line", None)
    with book.lock:
        book.talking.clear()
        book.due[attempt] = None
        first = planner.plan()
        assert first.words
        book.end(attempt, ("succeed", ""))
        second = planner.plan()
        assert second is None or not second.outcomes
        planner.unanswered(first)
        third = planner.plan()
        body = third.report("w", None)
        assert body.index(b'"logs":[{"id":"i","lease":"l","n":0,') < body.index(b'"succeed":[{"id":"i","lease":"l"}]')
        planner.answered(third, 0)
        assert book.all_said()
