"""What the server sends the official library of npm believes, and we what it signs (T38)."""

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from test_webhooks import OTHER, SECRET, app, path, receiver  # noqa: F401

from tasklane import verify_webhook

LIBRARY = "standardwebhooks@1.1.1"
# Told a message a line, says a line: the JSON that was believed or signed, or that it was not.
PROGRAM = """
const { Webhook } = require("standardwebhooks");
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { secret, headers, body, sign } = JSON.parse(line);
  const webhook = new Webhook(secret);
  try {
    console.log(JSON.stringify(sign ? webhook.sign(sign.id, new Date(sign.at), body) : webhook.verify(body, headers)));
  } catch (error) {
    console.log(JSON.stringify({ refused: error.name }));
  }
});
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Asks the library."""
    folder = tmp_path_factory.mktemp("npm")
    beside = str(Path(sys.executable).parent)
    npm, node = (shutil.which(it, path=beside) or shutil.which(it) for it in ("npm", "node"))
    install = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), LIBRARY]
    subprocess.run(install, check=True, env=_with(beside), cwd=folder)
    program = subprocess.Popen(
        [node, "-e", PROGRAM], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def asked(**message):
        program.stdin.write(json.dumps(message) + "\n")
        program.stdin.flush()
        return json.loads(program.stdout.readline())

    yield asked
    program.stdin.close()
    assert program.wait(10) == 0


def _with(folder):
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_what_the_server_sends_is_believed(app, path, receiver, ask):  # noqa: F811
    hook = app.webhooks.create_sync(receiver.url(path), queue="none")
    app.webhooks.test_sync(hook.id)
    headers, body = receiver.wait(path)
    message = {"headers": {key.lower(): value for key, value in headers.items()}, "body": body.decode()}
    assert ask(secret=hook.secret, **message) == json.loads(body)
    assert "refused" in ask(secret=OTHER, **message)
    assert "refused" in ask(secret=hook.secret, **{**message, "body": body.decode() + " "})


def test_what_it_signs_is_believed(ask):
    now, body = datetime.now(timezone.utc), '{"a":"ä"}'
    signed = ask(secret=SECRET, body=body, sign={"id": "id", "at": now.isoformat()})
    headers = {"webhook-id": "id", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signed}
    assert verify_webhook(SECRET, headers, body) == {"a": "ä"}
