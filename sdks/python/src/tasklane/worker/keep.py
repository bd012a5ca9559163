"""The worker's side of the keeper: starts the process, tells it what is held, hears what is lost."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, Callable, Optional

from . import keeper
from .attempt import Attempt

log = logging.getLogger("tasklane.worker")


class Keep:
    """Used on the client's loop alone. `hear` is called from a thread, with what the keeper says; `{}`: it has died."""

    def __init__(self, settings: dict[str, Any], hear: Callable[[dict[str, Any]], None]):
        self._settings, self._hear = settings, hear
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> None:
        """Starts the process; it becomes able meanwhile."""
        command = [sys.executable, "-I", keeper.__file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        threading.Thread(target=self._listen, args=(self._process,), name="tasklane-keeper", daemon=True).start()
        self._write({**self._settings, "parent": os.getpid()})

    def say(self, hold: Iterable[Attempt], drop: Iterable[Attempt] = (), since: Optional[float] = None) -> None:
        """These are held, from `since` on; those no more."""
        held = [(it.id, it.lease) for it in hold]
        dropped = [it.lease for it in drop]
        if held or dropped:
            self._write({"hold": held, "drop": dropped, "since": since or time.monotonic()})

    def _write(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        data = memoryview(json.dumps(message).encode("ascii") + b"\n")
        try:
            while data:
                data = data[self._process.stdin.write(data) or 0 :]
        except OSError:
            pass  # It has died; whoever listens to it sees that.

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._hear(json.loads(line))
        process.wait()
        if process is self._process:
            log.warning("the process that renews leases has ended; it is started again")
            self._hear({})

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.kill()
