"""Keeps leases alive from a process of its own, however long a handler holds the worker's interpreter.

Run as a script with nothing but the standard library. The worker writes lines of JSON to its standard input: first
`{url, api_key, worker, lease, parent}`, which it answers with `{ready: true}`, then `{hold: [[id, lease]...], drop:
[leases], since}`. It says lines of `{lost: [leases], cancel: [ids], late: [leases]}`. When the input ends, so does it, and the leases run out.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Optional
from urllib.parse import urlsplit

LOOKS_PER_LEASE = 12
"""A look is taken so many times a lease; what is past a quarter of its lease then is renewed, so before a third."""
STOP_GRACE = 4.0
"""How long what cannot be renewed has to stop before its lease is over, in seconds,"""
LAPSE_PART = 6
"""or this part of the lease where that is shorter."""
RENEWALS = 1000
"""Most renewals of one request."""


class Keeper:
    """The leases to keep, and since when each certainly lasts its whole length (seconds of the monotonic clock)."""

    def __init__(self, settings: dict[str, Any]):
        self._settings = settings
        self._lease: float = settings["lease"]
        self._held: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._connection: Optional[HTTPConnection] = None

    def take(self, message: dict[str, Any]) -> None:
        """What the worker says."""
        with self._lock:
            for id, lease in message.get("hold", ()):
                self._held[lease] = id, message["since"]
            for lease in message.get("drop", ()):
                self._held.pop(lease, None)

    def keep(self) -> None:
        """Renews, for ever."""
        while True:
            time.sleep(self._lease / LOOKS_PER_LEASE)
            if os.getppid() != self._settings["parent"]:
                os._exit(0)
            if not _halted(self._settings["parent"]):
                self._look(time.monotonic())

    def guard(self) -> None:
        """Looks for what could not be renewed, for ever; apart from renewals, as those wait for answers."""
        while True:
            time.sleep(self._lease / LOOKS_PER_LEASE)
            late = self.late(time.monotonic())
            if late:
                _say({"late": late})

    def late(self, now: float) -> list[str]:
        """Takes out what is to stop: told before its lease is over, with time to do so. Then somebody else may run it."""
        most = self._lease * (1 - 1 / LOOKS_PER_LEASE) - min(STOP_GRACE, self._lease / LAPSE_PART)
        with self._lock:
            late = [it for it, (_, since) in self._held.items() if now - since >= most]
            for lease in late:
                del self._held[lease]
        return late

    def _look(self, now: float) -> None:
        with self._lock:
            due = [(id, it) for it, (id, since) in self._held.items() if now - since >= self._lease / 4]
        for first in range(0, len(due), RENEWALS):
            self._renew(due[first : first + RENEWALS])

    def _renew(self, due: list[tuple[str, str]]) -> None:
        sent = time.monotonic()
        body = {"worker": self._settings["worker"], "renew": [{"id": id, "lease": lease} for id, lease in due]}
        reply = self._post("/v1/reports", json.dumps(body).encode("ascii"))
        if reply is None:
            return
        lost = [lease for id, lease in due if id in set(reply.get("lost", ()))]
        with self._lock:
            for id, lease in due:
                if lease in self._held:
                    self._held[lease] = id, sent
            for lease in lost:
                self._held.pop(lease, None)
        if lost or reply.get("cancel"):
            _say({"lost": lost, "cancel": reply.get("cancel", [])})

    def _post(self, path: str, body: bytes) -> Optional[dict[str, Any]]:
        url, key = urlsplit(self._settings["url"]), self._settings["api_key"]
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            if self._connection is None:
                kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
                timeout = min(10.0, max(1.0, self._lease / 4))
                self._connection = kind(url.hostname or "", url.port, timeout=timeout)
            self._connection.request("POST", url.path.rstrip("/") + path, body, headers)
            answer = self._connection.getresponse()
            data = answer.read()
            return json.loads(data) if answer.status == 200 else None
        except (OSError, HTTPException, ValueError):
            # The next look tries again, on a new connection.
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            return None


def _halted(pid: int) -> bool:
    """Whether the worker is stopped as by SIGSTOP: then nobody works on what it holds."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


_SAYING = threading.Lock()


def _say(message: dict[str, Any]) -> None:
    try:
        with _SAYING:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()
    except OSError:
        os._exit(0)


def main() -> None:
    """Keeps leases until the input ends."""
    # Signals to the whole group are the worker's business: it drains, and its leases must last meanwhile.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    keeper: Optional[Keeper] = None
    for line in sys.stdin:
        if keeper is None:
            keeper = Keeper(json.loads(line))
            for work in (keeper.keep, keeper.guard):
                threading.Thread(target=work, daemon=True).start()
            _say({"ready": True})
        else:
            keeper.take(json.loads(line))


if __name__ == "__main__":
    main()
