"""Schedules, against a real server."""

import asyncio
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from conftest import Server, until

from tasklane import App, Refused
from tasklane.schedules import _time


def named(prefix="s"):
    return f"{prefix}.{uuid.uuid4().hex}"


def test_a_schedule_is_put_and_put_again(app):
    name = named()

    @app.task(name=name, queue="reports", max_attempts=5)
    def report(day, pages=1):
        return day * pages

    made = app.schedules.put_sync(
        name, report.planned("{slot.date}", pages=2), cron="30 2 * * *", timezone="Europe/Berlin", overlap="skip",
        missed="all", missed_cap=5, missed_window="2d", jitter=10, ends_at=datetime(2090, 1, 1, tzinfo=timezone.utc),
    )  # fmt: skip
    assert (made.name, made.paused, made.data["overlap"], made.data["timezone"]) == (name, False, "skip", "Europe/Berlin")
    assert made.data["missed"] == {"policy": "all", "cap": 5, "window": "2d"}
    assert made.data["task"]["payload"] == {"day": "{slot.date}", "pages": 2}
    assert made.next_at is not None and made.next_at > datetime.now(timezone.utc)
    app.schedules.pause_sync(name)
    again = app.schedules.put_sync(name, report.planned("x"), every="1h")
    assert (again.id, again.paused, again.next_at) == (made.id, True, None)
    assert (again.data["every"], again.data["overlap"], again.data["jitter"]) == ("1h", "allow", "0s")
    assert "ends_at" not in again.data and "cron" not in again.data
    assert app.schedules.resume_sync(name).next_at is not None
    assert [it.name for it in app.schedules.all_sync()].count(name) == 1
    handle = app.schedules.run_sync(name)
    task = handle.task_sync()
    assert (task["schedule"], task["payload"], task["queue"]) == (made.id, {"day": "x"}, "reports")
    assert app.schedules.remove_sync(name).id == made.id
    with pytest.raises(KeyError, match=name):
        app.schedules.get_sync(name)


def test_slots_make_tasks_that_a_worker_does(app, work):
    name = named()
    seen = []

    @app.task(name=name)
    def tick(at):
        seen.append(at)

    app.schedules.put_sync(name, tick.planned("{slot}"), every="1s")
    work(app)
    until(lambda: len(seen) >= 2)
    done = until(lambda: [it for it in app.schedules.runs_sync(name, most=5) if it.state == "succeeded"])
    assert done[0].outcome == "made" and app.handle(done[0].task).task_sync()["slot"] in seen
    app.schedules.remove_sync(name)


def test_each_way_has_a_twin(app):
    name, schedules = named(), app.schedules
    planned = app.planned("other.program", [1], priority="high")

    async def main():
        at = datetime.now(timezone.utc) + timedelta(days=1)
        made = await schedules.put(name, planned, at=at)
        assert abs(made.next_at - at) < timedelta(milliseconds=1)
        assert (await schedules.get(name)).id == made.id
        assert [it.id for it in await schedules.all()].count(made.id) == 1
        assert (await schedules.pause(name)).paused and not (await schedules.resume(name)).paused
        assert await schedules.upcoming(name) == schedules.upcoming_sync(name) == [_time(made.data["at"])]
        assert await schedules.runs(name) == schedules.runs_sync(name) == []
        assert (await (await schedules.run(name)).task())["priority"] == 10
        await schedules.remove(name)

    asyncio.run(main())


def test_tenants_have_names_of_their_own(app):
    name = named()
    for tenant in (None, "acme", "zeta"):
        options = {} if tenant is None else {"tenant": tenant}
        app.schedules.put_sync(name, app.planned("t", **options), every="1h")
    assert app.schedules.get_sync(name, tenant="acme").data["task"]["tenant"] == "acme"
    assert "tenant" not in app.schedules.get_sync(name).data["task"]
    app.schedules.remove_sync(name, tenant="zeta")
    with pytest.raises(KeyError):
        app.schedules.get_sync(name, tenant="zeta")


def test_what_cannot_be_says_why(app):
    with pytest.raises(Refused, match="no cron pattern"):
        app.schedules.put_sync(named(), app.planned("t"), cron="x")
    with pytest.raises(Refused, match="one of cron, every and at"):
        app.schedules.put_sync(named(), app.planned("t"))
    with pytest.raises(ValueError, match="time zone"):
        app.schedules.put_sync(named(), app.planned("t"), at=datetime(2090, 1, 1))


def test_the_configuration_keeps_its_own(tmp_path):
    config = tmp_path / "tasklane.toml"
    config.write_text("[schedules.nightly]\ncron = '0 3 * * *'\ntask = { type = 'report' }\n")
    server = Server(tmp_path, "--no-executors", "--config", str(config)).start()
    app = App(server.url)
    try:
        assert app.schedules.get_sync("nightly").data["set_by"] == "config"
        with pytest.raises(Refused) as refused:
            app.schedules.put_sync("nightly", app.planned("t"), every="1h")
        assert refused.value.code == "set_by_config"
        app.schedules.pause_sync("nightly")
        server.kill()
        server.start()
        assert [(it.name, it.paused) for it in app.schedules.all_sync()] == [("nightly", True)]
        server.kill()
        config.write_text("")
        server.start()
        assert app.schedules.all_sync() == []
    finally:
        server.kill()


def test_times_of_any_length_are_read():
    utc = timezone.utc
    assert _time("2026-01-31T12:00:00Z") == datetime(2026, 1, 31, 12, tzinfo=utc)
    assert _time("2026-01-31T12:00:00.5Z") == datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=utc)
    assert _time("2026-01-31T12:00:00.123456Z").microsecond == 123_456
    assert _time("2026-01-31T12:00:00+02:00").utcoffset() == timedelta(hours=2)
