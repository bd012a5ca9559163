"""Workers in processes of their own: signals, held interpreters, stopped and dying processes."""

import os
import signal
import subprocess
import sys
import uuid

import pytest
from conftest import until

from tasklane import TaskCancelled, TaskFailed


@pytest.fixture
def queue():
    return uuid.uuid4().hex


@pytest.fixture
def enqueue(app, queue):
    return lambda type, payload=None, **options: app.enqueue_sync(type, payload, queue=queue, **options)


def state(handle):
    return handle.task_sync()["state"]


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_the_first_signal_drains(program, enqueue, queue, mode):
    worker = program("sleeper.py", queue, mode)
    slow = enqueue("sleep", 1.0)
    worker.says("begins 1")
    worker.signal(signal.SIGTERM)
    worker.says("ends")
    worker.says("drained")
    assert worker.ends() == 0
    assert slow.result_sync(5) == "slept"
    assert slow.task_sync()["attempt"] == 1
    late = enqueue("sleep", 0)
    assert state(late) == "queued"


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_the_second_signal_ends_at_once_and_gives_back(program, enqueue, queue, mode):
    worker = program("sleeper.py", queue, mode)
    slow = enqueue("sleep", 3600)
    worker.says("begins 1")
    worker.signal(signal.SIGINT)
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 128 + signal.SIGTERM
    found = slow.task_sync()
    # Given back unspent, long before the lease of 30 s would be over.
    assert (found["state"], found.get("spent", 0)) == ("queued", 0)


def test_a_lease_is_kept_while_a_handler_holds_the_interpreter(program, enqueue, queue):
    program("sleeper.py", queue, "threads", "2s")
    handle = enqueue("hold", 5)
    assert handle.result_sync(60) == "held"
    found = handle.task_sync()
    assert (found["attempt"], found["spent"]) == (1, 1)


def test_a_worker_that_was_stopped_for_long_lets_go(program, enqueue, queue):
    frozen = program("sleeper.py", queue, "threads", "2s")
    handle = enqueue("patient", None)
    frozen.says("begins")
    frozen.signal(signal.SIGSTOP)
    other = program("sleeper.py", queue, "threads", "2s")
    other.says("begins")
    frozen.signal(signal.SIGCONT)
    frozen.says("told")
    assert (state(handle), handle.task_sync()["attempt"]) == ("running", 2)
    other.signal(signal.SIGTERM)
    handle.cancel_sync()
    with pytest.raises(TaskCancelled):
        handle.result_sync(20)


def test_a_process_that_dies_is_a_failure_and_another_takes_its_place(program, enqueue, queue):
    program("sleeper.py", queue, "processes")
    with pytest.raises(TaskFailed, match="SIGSEGV") as caught:
        enqueue("die", max_attempts=1).result_sync(30)
    assert caught.value.kind == "killed"
    assert enqueue("where").result_sync(30) > 0


def test_a_process_that_does_not_stop_is_killed(program, enqueue, queue):
    worker = program("sleeper.py", queue, "processes")
    handle = enqueue("sleep", 3600)
    worker.says("begins 1")
    handle.cancel_sync()
    with pytest.raises(TaskCancelled):
        handle.result_sync(20)
    assert enqueue("where").result_sync(30) > 0


@pytest.mark.parametrize(("type", "last"), [("patient", "told"), ("forever", "ends")])
def test_a_handler_in_a_process_hears_of_its_cancellation(program, enqueue, queue, type, last):
    worker = program("sleeper.py", queue, "processes")
    handle = enqueue(type)
    worker.says("begins")
    handle.cancel_sync()
    worker.says(last)
    with pytest.raises(TaskCancelled):
        handle.result_sync(20)


def test_handlers_run_in_several_processes(program, enqueue, queue):
    worker = program("sleeper.py", queue, "processes")
    both = [enqueue("sleep", 2), enqueue("sleep", 2)]
    worker.says("begins 1")
    worker.says("begins 1")
    pids = {enqueue("where").result_sync(30) for _ in range(4)}
    assert worker.process.pid not in pids
    assert [it.result_sync(20) for it in both] == ["slept", "slept"]
    until(lambda: all(state(it) == "succeeded" for it in both))


def test_a_program_without_its_main_does_not_work_in_its_handlers_processes(server, folder, queue, enqueue):
    (folder / "careless.py").write_text(
        "import sys\nfrom tasklane import App\napp = App()\n"
        "@app.task()\ndef one():\n    return 1\n"
        "app.run(concurrency=1, mode='processes', queues=sys.argv[1:])\n"
    )
    env = {**os.environ, "TASKLANE_URL": server.url}
    worker = subprocess.Popen([sys.executable, "careless.py", queue], cwd=folder, env=env, stderr=subprocess.PIPE)
    try:
        handle = enqueue("one", max_attempts=1)
        with pytest.raises(TaskFailed) as caught:
            handle.result_sync(30)
        assert caught.value.kind == "killed"
    finally:
        worker.terminate()
        said = worker.communicate(timeout=40)[1].decode()
    assert "__main__" in said
