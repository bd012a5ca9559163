"""Submitting and waiting, against a real server."""

import asyncio
import threading
import time
import uuid

import pytest

from tasklane import App, Limit, Refused, ResultTimeout, Retry, TaskCancelled, TaskExpired, TaskFailed, Unique, Unreachable


def echo(app, name=None):
    return app.task(name=name or f"echo.{uuid.uuid4().hex}")(lambda text: text)


def test_options_arrive(app):
    task = echo(app).with_(
        queue="options", priority="high", delay="1h", timeout="2m", heartbeat_timeout=10, max_attempts=7,
        retry=Retry("5s", factor=3, max="1m", jitter=False), tenant="t", labels={"a": "b"}, deadline="1d",
    )  # fmt: skip
    found = task.enqueue_sync("x").task_sync()
    assert found["state"] == "scheduled"
    assert (found["queue"], found["priority"], found["max_attempts"], found["tenant"]) == ("options", 10, 7, "t")
    assert (found["attempt_timeout"], found["heartbeat_timeout"], found["labels"]) == ("2m", "10s", {"a": "b"})
    assert found["retry"] == {"initial": "5s", "factor": 3, "max": "1m", "jitter": False}
    assert found["payload"] == {"text": "x"}


def test_limits_arrive_and_hold(app, work):
    name, key = f"limited.{uuid.uuid4().hex}", uuid.uuid4().hex
    running, most = [], []

    @app.task(name=name, limits=[Limit(key, max_running=2, rate=(1000, "1s")), f"{key}.open"])
    def limited():
        running.append(1)
        most.append(len(running))
        time.sleep(0.02)
        running.pop()

    handles = [limited.enqueue_sync() for _ in range(12)]
    assert handles[0].task_sync()["limits"] == [{"key": key}, {"key": f"{key}.open"}]
    work(app)
    for it in handles:
        it.result_sync(30)
    assert max(most) <= 2
    other = limited.with_(limits=["another"], delay="1h").enqueue_sync()
    assert other.task_sync()["limits"] == [{"key": "another"}]
    with pytest.raises(Refused, match="limits/0/max_running"):
        limited.with_(limits=[Limit(key, max_running=0)]).enqueue_sync()


def test_concurrent_enqueues_share_requests(app, monkeypatch):
    sent = []
    http = app.client().http
    call = http.call
    monkeypatch.setattr(http, "call", lambda *a, **k: sent.append(a) or call(*a, **k))
    task = echo(app)

    async def main():
        handles = await asyncio.gather(*[task.enqueue(str(it)) for it in range(1000)])
        return {it.id for it in handles}

    assert len(asyncio.run(main())) == 1000
    assert len(sent) < 50


def test_threads_share_requests_too_and_each_stands_alone(app):
    task = echo(app)
    key = uuid.uuid4().hex
    task.with_(unique=Unique(key, "reject")).enqueue_sync("first")
    outcomes = []

    def submit(number):
        try:
            own = task if number % 2 else task.with_(unique=Unique(key, "reject"))
            outcomes.append(own.enqueue_sync(str(number)).id)
        except Refused as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=submit, args=(it,)) for it in range(20)]
    [it.start() for it in threads]
    [it.join() for it in threads]
    assert outcomes.count("unique_held") == 10
    assert len(set(outcomes)) == 11


def test_one_bad_task_of_a_request_does_not_take_the_others_with_it(app):
    task = echo(app)

    async def main():
        good = [task.enqueue(str(it)) for it in range(20)]
        bad = [task.enqueue("x" * (2 << 20)), task.with_(priority=5000).enqueue("y")]
        return await asyncio.gather(*good, *bad, return_exceptions=True)

    answers = asyncio.run(main())
    assert len({it.id for it in answers[:20]}) == 20
    assert [it.status in (413, 422) for it in answers[20:]] == [True, True]


def test_the_same_idempotency_key_makes_one_task(app):
    task = echo(app).with_(idempotency_key=uuid.uuid4().hex)
    assert task.enqueue_sync("a").id == task.enqueue_sync("a").id
    with pytest.raises(Refused, match="idempotency_mismatch"):
        task.enqueue_sync("b")


def test_a_result_is_waited_for_as_long_as_said(app):
    handle = echo(app).with_(delay="1h").enqueue_sync("x")
    with pytest.raises(ResultTimeout):
        handle.result_sync(timeout=0.05)
    handle.cancel_sync()
    with pytest.raises(TaskCancelled) as caught:
        handle.result_sync()
    assert (caught.value.kind, caught.value.id) == ("cancelled", handle.id)
    with pytest.raises(Refused) as refused:
        handle.cancel_sync()
    assert (refused.value.code, refused.value.status) == ("invalid_transition", 409)


def test_the_async_twins(app):
    async def main():
        handle = await echo(app).with_(start_deadline=0.01, delay="1h").enqueue("x")
        with pytest.raises(TaskExpired):
            await handle.result(timeout="20s")
        other = await app.enqueue("elsewhere", {"a": 1}, delay=3600)
        assert (await other.task())["payload"] == {"a": 1}
        await other.cancel()
        with pytest.raises(TaskFailed):
            await app.handle(other.id).result()

    asyncio.run(main())


def test_what_is_no_json_is_said_before_anything_is_sent(app):
    for odd in ({1, 2}, float("nan"), object()):
        with pytest.raises((TypeError, ValueError), match="cannot be written as JSON"):
            echo(app).enqueue_sync(odd)


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setenv("TASKLANE_URL", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="127.0.0.1:1"):
        echo(App()).enqueue_sync("x")
    for odd in ("127.0.0.1:8000", "ftp://a", "http://"):
        with pytest.raises(ValueError, match="no URL"):
            echo(App(odd)).enqueue_sync("x")


def test_a_task_that_is_not_there(app):
    with pytest.raises(Refused) as caught:
        app.handle(str(uuid.UUID(int=7 << 76 | 2 << 62))).result_sync(1)
    assert caught.value.code == "task_not_found"


def test_a_server_that_restarts_is_waited_for(own_server):
    app = App(own_server.url)
    handle = echo(app).with_(delay="1h").enqueue_sync("x")
    caught = []
    waiter = threading.Thread(target=lambda: caught.append(pytest.raises(TaskCancelled, handle.result_sync, 30)))
    waiter.start()
    own_server.kill()
    own_server.start()
    handle.cancel_sync()
    waiter.join(30)
    assert caught
