"""Log lines, checkpoints and events: what an attempt says while it runs, and who hears it."""

import asyncio
import json
import logging
import sys
import threading
import urllib.request
import uuid

import pytest
from conftest import until

from tasklane import CTX, TaskFailed


def lines(server, handle):
    with urllib.request.urlopen(f"{server.url}/v1/tasks/{handle.id}/logs") as answer:
        return json.load(answer)["items"]


def named(function):
    function.__name__ = f"{function.__name__}.{uuid.uuid4().hex}"
    return function


def test_what_a_handler_says_becomes_its_log(server, app, work):
    @app.task()
    @named
    def talk(word, *, ctx=CTX):
        print("printed", word)
        print("to stderr", file=sys.stderr)
        logging.getLogger("shop").warning("logged %s", word)
        ctx.log("said", level="debug", word=word, half="\ud800".encode("utf-8", "replace").decode())
        sys.stdout.write("without an end")

    @app.task()
    @named
    async def atalk(word):
        print("first", word)
        await asyncio.sleep(0.01)
        await asyncio.to_thread(print, "second", word) if sys.version_info >= (3, 9) else None

    work(app)
    both = [talk.enqueue_sync(it) for it in "ab"] + [atalk.enqueue_sync(it) for it in "cd"]
    for it in both:
        it.result_sync(20)
    for handle, word in zip(both, "ab"):
        found = [(it["level"], it["message"]) for it in lines(server, handle)]
        assert found == [
            ("info", f"printed {word}"), ("warn", "to stderr"), ("warn", f"logged {word}"), ("debug", "said"),
            ("info", "without an end"),
        ]  # fmt: skip
        assert lines(server, handle)[3]["fields"]["word"] == word
    for handle, word in zip(both[2:], "cd"):
        assert [it["message"] for it in lines(server, handle)] == [f"first {word}", f"second {word}"]


def test_lines_are_seen_while_the_handler_runs(server, app, work):
    gate = threading.Event()

    @app.task()
    @named
    def slow():
        print("begun")
        gate.wait(20)
        raise ValueError("over")

    work(app)
    handle = slow.with_(max_attempts=1).enqueue_sync()
    assert until(lambda: lines(server, handle))[0]["message"] == "begun"
    gate.set()
    with pytest.raises(TaskFailed):
        handle.result_sync(20)


def test_a_flood_of_lines_is_cut(server, app, work):
    @app.task()
    @named
    def flood():
        for number in range(12_000):
            print("line", number, "x" * 20_000 if number == 5 else "")

    work(app)
    handle = flood.enqueue_sync()
    handle.result_sync(30)
    found = lines(server, handle)
    assert found[0]["message"].startswith("line 0")
    assert all(len(it["message"].encode()) <= 16 << 10 for it in found)


def test_the_next_attempt_finds_the_checkpoints(server, app, work):
    @app.task(max_attempts=3, retry=["10ms"])
    @named
    def steps(*, ctx=CTX):
        done = ctx.checkpoints.get("done", [])
        ctx.checkpoint("done", [*done, ctx.attempt])
        ctx.checkpoint("other", {"a": ctx.attempt})
        if ctx.attempt < 3:
            raise ValueError("again")
        return ctx.checkpoints

    work(app)
    assert steps.enqueue_sync().result_sync(20) == {"done": [1, 2, 3], "other": {"a": 3}}


def test_words_come_from_processes_too(server, app, program):
    queue = uuid.uuid4().hex
    program("talker.py", queue)
    handle = app.enqueue_sync("talk", {"word": "x"}, queue=queue, max_attempts=2, retry=["10ms"])
    assert handle.result_sync(30) == ["kept"]
    assert [it["message"] for it in lines(server, handle)] == ["printed x", "logged x", "said x"] * 2


def test_half_characters_are_replaced_in_lines_and_refused_in_data(server, app, program):
    queue = uuid.uuid4().hex
    program("talker.py", queue)
    handle = app.enqueue_sync("halves", queue=queue, max_attempts=1)
    assert handle.result_sync(30) == ["the", "checkpoint", "the"]
    logged, said = lines(server, handle)
    assert (logged["message"], said["message"], said["fields"]) == ("logged ?", "said ?", {"half": "?"})
    assert "ValueError: half ?" in logged["fields"]["stack"]


@pytest.mark.parametrize("twin", ["sync", "async"])
def test_events_are_heard_until_the_end(app, work, twin):
    begun, gate = threading.Event(), threading.Event()

    @app.task()
    @named
    def slow(*, ctx=CTX):
        begun.set()
        gate.wait(20)
        ctx.progress(50)
        print("a line")

    handle = slow.with_(delay="200ms").enqueue_sync()
    heard = []

    async def listen():
        async for event in handle.events():
            heard.append(event)
            gate.set()

    def listen_sync():
        for event in handle.events_sync():
            heard.append(event)
            gate.set()

    listener = threading.Thread(target=listen_sync if twin == "sync" else lambda: asyncio.run(listen()))
    listener.start()
    work(app)
    handle.result_sync(30)
    listener.join(20)
    assert not listener.is_alive()
    states = [it.name for it in heard if it.name.startswith("task.")]
    assert states[-2:] == ["task.running", "task.succeeded"]
    assert [it.data["percent"] for it in heard if it.name == "progress"] == [50]
    assert [it.data["message"] for it in heard if it.name == "log"] == ["a line"]
