"""Webhooks, against a real server and a receiver in a thread; and whether others believe what is sent, and we what they
send (T38)."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
import types
import uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import standardwebhooks
from conftest import Server, until

from tasklane import App, Callback, Refused, SignatureError, signed, verify_webhook

# The example of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE, SENT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def secret_of(count):
    """A secret of so many bytes."""
    return "whsec_" + base64.b64encode(bytes(range(count))).decode()


OTHER = secret_of(32)


class Receiver:
    """Notes what comes to it, by path, and answers with 200 unless it is said otherwise."""

    def __init__(self):
        self.came, self.status = [], {}
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                told.came.append((self.path, dict(self.headers), body))
                self.send_response(told.status.get(self.path, 200))
                self.send_header("content-length", "5")
                self.end_headers()
                self.wfile.write(b"heard")

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def at(self, path):
        """What came to a path, as (headers, body)."""
        return [(headers, body) for to, headers, body in list(self.came) if to == path]

    def wait(self, path, count=1):
        """The last of so many messages to a path."""
        return until(lambda: len(self.at(path)) >= count and self.at(path))[count - 1]


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.http.shutdown()
    receiver.http.server_close()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The app of a server that may call this machine."""
    server = Server(tmp_path_factory.mktemp("webhooks"), "--no-executors")
    server.environment = {"TASKLANE_OUTBOUND_ALLOW": "127.0.0.0/8"}
    yield App(server.start().url)
    server.kill()


@pytest.fixture
def path():
    return f"/{uuid.uuid4().hex}"


@contextlib.contextmanager
def refused(kind, part):
    with pytest.raises(SignatureError, match=part) as caught:
        yield
    assert caught.value.kind == kind


def named(headers, name):
    return next(value for key, value in headers.items() if key.lower() == name)


def test_a_webhook_is_set_up_changed_and_removed(app, path, receiver):
    hooks = app.webhooks
    made = hooks.create_sync(
        receiver.url(path), events=["task.failed", "webhook.disabled"], queue="mail", type="send", labels={"a": "b"},
        headers={"Authorization": "Bearer mine"}, format="cloudevents", max_running=3, description="for mail",
        tenant="acme", secret=SECRET,
    )  # fmt: skip
    assert (made.secret, made.url, made.disabled) == (SECRET, receiver.url(path), False)
    assert "whsec_" not in repr(made) and "secret" not in made.data
    shown = hooks.get_sync(made.id)
    assert (shown.secret, shown.data) == (None, made.data)
    said = {key: shown.data[key] for key in ("events", "filter", "format", "max_running", "description", "tenant")}
    assert said == {
        "events": ["task.failed", "webhook.disabled"],
        "filter": {"queue": "mail", "type": "send", "labels": {"a": "b"}},
        "format": "cloudevents",
        "max_running": 3,
        "description": "for mail",
        "tenant": "acme",
    }
    assert "mine" not in str(shown.data) and "Authorization" in shown.data["headers"]

    changed = hooks.change_sync(made.id, events=["task.*"], max_running=5, format="standard", description="")
    assert (len(changed.data["events"]), changed.data["max_running"], changed.data["format"]) == (10, 5, "standard")
    assert (changed.url, changed.data["filter"]) == (made.url, made.data["filter"]), "what was not said stays"
    assert hooks.change_sync(made.id, queue="other").data["filter"] == {"queue": "other"}
    cleared = hooks.change_sync(made.id, labels={}, headers={}, url=receiver.url("/moved"))
    assert (cleared.data["filter"], cleared.data["headers"], cleared.url) == ({}, {}, receiver.url("/moved"))
    assert [it.id for it in hooks.all_sync()].count(made.id) == 1
    assert hooks.remove_sync(made.id).id == made.id
    with pytest.raises(Refused, match="webhook_not_found"):
        hooks.get_sync(made.id)


def test_what_cannot_be_says_why(app):
    with pytest.raises(ValueError, match=r"\['task.failed'\]"):
        app.webhooks.create_sync("https://example.org/", events="task.failed")
    with pytest.raises(ValueError, match="whsec_ and the base64") as caught:
        app.webhooks.create_sync("https://example.org/", secret="hunter2")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Refused, match="/events/0"):
        app.webhooks.create_sync("https://example.org/", events=["task.done"])
    with pytest.raises(Refused, match="/url"):
        app.webhooks.create_sync("http://10.1.2.3/")
    with pytest.raises(Refused, match="webhook_not_found"):
        app.webhooks.get_sync("no/such id")


def test_what_is_sent_is_believed_and_what_was_altered_is_not(app, path, receiver):
    hook = app.webhooks.create_sync(receiver.url(path), queue="none", headers={"X-Own": "mine"})
    tested = app.webhooks.test_sync(hook.id)
    headers, body = receiver.wait(path)
    assert (tested.event, named(headers, "x-own")) == ("webhook.test", "mine")
    assert named(headers, "webhook-id") == tested.message
    told = verify_webhook(hook.secret, headers, body)
    assert told == verify_webhook(hook.secret, {key.upper(): it for key, it in headers.items()}, body.decode())
    assert (told["type"], told["data"]["webhook"]) == ("webhook.test", hook.id)

    message = {key.lower(): value for key, value in headers.items()}
    with refused("wrong", "bytes of the body"):
        verify_webhook(hook.secret, message, body.replace(b"test", b"best"))
    with refused("wrong", "another secret"):
        verify_webhook(OTHER, message, body)
    with refused("wrong", "changed on its way"):
        verify_webhook(hook.secret, {**message, "webhook-id": "other"}, body)
    at = int(message["webhook-timestamp"])
    with refused("wrong", "no signature is right"):
        verify_webhook(hook.secret, {**message, "webhook-timestamp": str(at - 1)}, body)
    with refused("out_of_time", "was sent 4[0-9]{2} s ago, and 300 s"):
        verify_webhook(hook.secret, {**message, "webhook-timestamp": str(at - 400)}, body)
    with refused("out_of_time", "s from now"):
        verify_webhook(hook.secret, {**message, "webhook-timestamp": str(at + 400)}, body)


def test_two_secrets_sign_while_one_is_changed_for_the_other(app, path, receiver):
    hooks = app.webhooks
    hook = hooks.create_sync(receiver.url(path), queue="none")
    rotated = hooks.rotate_secret_sync(hook.id)
    assert rotated.secret != hook.secret and "whsec_" not in repr(rotated)
    hooks.test_sync(hook.id)
    headers, body = receiver.wait(path)
    assert len(named(headers, "webhook-signature").split(" ")) == 2
    for secret in (hook.secret, rotated.secret):
        assert verify_webhook(secret, headers, body)["type"] == "webhook.test"
        standardwebhooks.Webhook(secret).verify(body, headers)
    last = hooks.rotate_secret_sync(hook.id, overlap=0)
    hooks.test_sync(hook.id)
    headers, body = receiver.wait(path, 2)
    assert verify_webhook(last.secret, headers, body)
    for secret in (hook.secret, rotated.secret):
        with refused("wrong", "another secret"):
            verify_webhook(secret, headers, body)


def test_the_log_tells_what_came_of_it_and_it_is_sent_once_more(app, path, receiver):
    hooks = app.webhooks
    hook = hooks.create_sync(receiver.url(path), queue="none")
    first = hooks.test_sync(hook.id)
    done = until(lambda: hooks.deliveries_sync(hook.id, state="succeeded"))[0]
    assert (done.id, done.message, done.status, done.data["answer"]) == (first.id, first.message, 200, "heard")
    again = hooks.redeliver_sync(hook.id, done.id)
    assert (again.id != done.id, again.message) == (True, done.message)
    (headers, body), (later, same) = receiver.wait(path), receiver.wait(path, 2)
    assert (named(later, "webhook-id"), same) == (named(headers, "webhook-id"), body)
    assert verify_webhook(hook.secret, later, same)

    receiver.status[path] = 500
    failing = hooks.test_sync(hook.id)
    tried = until(lambda: hooks.deliveries_sync(hook.id, "retrying"))[0]
    assert (tried.id, tried.status, tried.state) == (failing.id, 500, "retrying")
    assert [it.id for it in hooks.deliveries_sync(hook.id, limit=2)] == [failing.id, again.id]
    receiver.status[path] = 200
    assert hooks.redeliver_sync(hook.id, tried.id).id == failing.id
    found = until(lambda: [it for it in hooks.deliveries_sync(hook.id, "succeeded") if it.id == failing.id])
    assert found[0].status == 200
    with pytest.raises(Refused, match="delivery_not_found"):
        hooks.redeliver_sync(hook.id, hook.id)


def test_a_webhook_that_is_disabled_hears_nothing(app, path, receiver, work):
    hooks, name = app.webhooks, f"t{path[1:]}"
    app.task(name=name)(lambda: 1)
    hook = hooks.create_sync(receiver.url(path), type=name)
    assert hooks.disable_sync(hook.id).disabled and hooks.get_sync(hook.id).data["disabled"]["why"] == "by_hand"
    with pytest.raises(Refused, match="webhook_disabled"):
        hooks.test_sync(hook.id)
    work(app)
    app.tasks[name].enqueue_sync().result_sync(30)
    assert receiver.at(path) == []
    assert not hooks.enable_sync(hook.id).disabled
    handle = app.tasks[name].enqueue_sync()
    handle.result_sync(30)
    headers, body = receiver.wait(path)
    told = verify_webhook(hook.secret, headers, body)
    assert (told["type"], told["data"]["task"], told["data"]["result"]) == ("task.succeeded", handle.id, 1)


def test_a_callback_is_told_of_its_task(app, path, receiver, work):
    callback = Callback(receiver.url(path), ["task.running", "task.succeeded"], SECRET)
    assert "whsec_" not in repr(callback)

    @app.task(name=f"t{path[1:]}", callback=callback)
    def size(text):
        return len(text)

    work(app)
    handle = size.enqueue_sync("abc")
    assert handle.result_sync(30) == 3
    receiver.wait(path, 2)
    told = [verify_webhook(SECRET, *message) for message in receiver.at(path)]
    assert sorted(it["type"] for it in told) == ["task.running", "task.succeeded"]
    assert {it["data"]["task"] for it in told} == {handle.id}
    assert "whsec_" not in str(handle.task_sync()) and "whsec_" not in repr(size.planned("x"))

    bare = f"{path}-bare"
    size.with_(callback=receiver.url(bare)).enqueue_sync("d")
    headers, body = receiver.wait(bare)
    assert json.loads(body)["data"]["result"] == 1
    with refused("malformed", "webhook-signature is missing.*only if it has a secret"):
        verify_webhook(SECRET, headers, body)
    later = f"{path}-later"
    app.enqueue_sync(size.name, {"text": "ef"}, callback=Callback(receiver.url(later), secret=OTHER))
    assert verify_webhook(OTHER, *receiver.wait(later))["data"]["result"] == 2


def test_a_callback_that_cannot_be_is_refused_where_it_is_said(app):
    with pytest.raises(ValueError, match="whsec_ and the base64") as caught:
        app.task(callback=Callback("https://example.org/", secret="hunter2"))(lambda: None)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match="events is a list"):
        app.enqueue_sync("t", callback=Callback("https://example.org/", "task.failed"))
    with pytest.raises(Refused, match="/callback/url"):
        app.enqueue_sync("t", callback="http://10.1.2.3/")


def test_each_way_has_a_twin(app, path, receiver):
    hooks = app.webhooks

    async def main():
        made = await hooks.create(receiver.url(path), queue="none")
        assert (await hooks.change(made.id, max_running=2)).data["max_running"] == 2
        assert (await hooks.get(made.id)).data == [it.data for it in await hooks.all() if it.id == made.id][0]
        assert (await hooks.rotate_secret(made.id, "1h")).secret != made.secret
        assert (await hooks.disable(made.id)).disabled and not (await hooks.enable(made.id)).disabled
        tested = await hooks.test(made.id)
        while not (done := await hooks.deliveries(made.id, state="succeeded")):
            await asyncio.sleep(0.01)
        assert (done[0].id, done[0].status) == (tested.id, 200)
        assert (await hooks.redeliver(made.id, tested.id)).message == tested.message
        await hooks.remove(made.id)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert receiver.at(path)


def at(monkeypatch, second):
    """Has our clock stand there."""
    monkeypatch.setattr(signed, "time", types.SimpleNamespace(time=lambda: second))


def test_the_vector_of_the_specification_is_met(monkeypatch):
    official = standardwebhooks.Webhook(SECRET)
    assert official.sign(MESSAGE, datetime.fromtimestamp(SENT, timezone.utc), BODY.decode()) == SIGNED
    headers = {"webhook-id": MESSAGE, "webhook-timestamp": str(SENT), "webhook-signature": SIGNED}
    for second in (SENT - 300, SENT, SENT + 300.9):
        at(monkeypatch, second)
        assert verify_webhook(SECRET, headers, BODY) == {"test": 2432232314}
    for second in (SENT - 301, SENT + 301):
        at(monkeypatch, second)
        with refused("out_of_time", "clocks"):
            verify_webhook(SECRET, headers, BODY)
        assert verify_webhook(SECRET, headers, BODY, tolerance="6m")


def test_what_the_server_sends_the_official_library_believes(app, path, receiver, work):
    name, formats = path[1:], ("standard", "cloudevents")
    hooks = [app.webhooks.create_sync(receiver.url(path + it), type=name, format=it) for it in formats]
    text = 'ä "\\" \u2028 \U0001f600'
    app.task(name=name)(lambda: text)
    work(app)
    handle = app.tasks[name].enqueue_sync()
    assert handle.result_sync(30) == text
    for hook in hooks:
        headers, body = receiver.wait(path + hook.data["format"])
        told = standardwebhooks.Webhook(hook.secret).verify(body, headers)
        assert told == verify_webhook(hook.secret, headers, body)
        assert (told["type"], told["data"]["task"], told["data"]["result"]) == ("task.succeeded", handle.id, text)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(OTHER).verify(body, headers)


def test_what_the_official_library_signs_is_believed():
    now, body = datetime.now(timezone.utc), '{"a":"ä"}'
    official = [standardwebhooks.Webhook(it).sign("id", now, body) for it in (OTHER, SECRET)]
    # Versions that are not known are passed over.
    signatures = " ".join(["v1a,ed=", "v2", *official])
    headers = {"Webhook-Id": "id", "WEBHOOK-TIMESTAMP": str(int(now.timestamp())), "webhook-signature": signatures}
    for given in (body, body.encode()):
        assert verify_webhook(SECRET, headers, given) == verify_webhook(OTHER, headers, given) == {"a": "ä"}
    signature = official[1].partition(",")[2]
    for odd in (f"v2,{signature}", f"v1a,{signature}", signature, f"v1,{signature[:-4]}", "v1,", "v1", " "):
        with refused("wrong", "no signature"):
            verify_webhook(SECRET, {**headers, "webhook-signature": odd}, body)


@pytest.mark.parametrize(
    ("change", "part"),
    [({"webhook-id": None}, "webhook-id is missing"), ({"webhook-timestamp": None}, "webhook-timestamp is missing"),
     ({"webhook-signature": None}, "webhook-signature is missing"), ({"webhook-id": ""}, "webhook-id makes no sense"),
     ({"webhook-id": "ä"}, "webhook-id makes no sense"), ({"Webhook-Id": "two"}, "webhook-id is there twice"),
     ({"webhook-timestamp": "soon"}, "no number"), ({"webhook-timestamp": "1e9"}, "no number"),
     ({"webhook-timestamp": "9" * 5000}, "no number")],
)  # fmt: skip
def test_headers_that_make_no_sense_are_said(change, part):
    right = {"webhook-id": "id", "webhook-timestamp": str(int(time.time())), "webhook-signature": SIGNED}
    headers = {key: value for key, value in {**right, **change}.items() if value is not None}
    with refused("malformed", part):
        verify_webhook(SECRET, headers, b"{}")


@pytest.mark.parametrize("body", [b"[1]", b"no", b"\xff", b""])
def test_what_is_signed_but_no_object_is_refused_too(body):
    second = int(time.time())
    digest = hmac.new(base64.b64decode(SECRET[6:]), f"id.{second}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    headers = {"webhook-id": "id", "webhook-timestamp": str(second), "webhook-signature": signature}
    with refused("malformed", "no JSON object"):
        verify_webhook(SECRET, headers, body)


@pytest.mark.parametrize(
    "odd",
    # Of 32 bytes there is one text: with its padding, and without bits that mean nothing.
    ["", "whsec_", "whsec_AAAA", SECRET[6:], SECRET.replace("M", "*", 1), SECRET + "\n", "whsec_ä" + SECRET[6:],
     OTHER.rstrip("="), OTHER[:-2] + "9=", secret_of(23), secret_of(65)],
)  # fmt: skip
def test_a_secret_that_is_none_is_said_without_its_text(odd):
    with pytest.raises(ValueError, match="whsec_ and the base64 of 24 to 64 bytes") as caught:
        verify_webhook(odd, {}, b"{}")
    assert odd == "" or odd == "whsec_" or odd not in str(caught.value)
