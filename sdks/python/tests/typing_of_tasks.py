"""What type checkers must accept and refuse; checked by mypy and pyright, never run.

Each line that must be an error says so by an ignore, and both checkers complain of an ignore that nothing needs.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from tasklane import CTX, App, Callback, Context, Delivery, Handle, Limit, verify_webhook

app = App()


@app.task(queue="mail", max_attempts=5, timeout="2m", retry=["5s", "5m"], limits=["smtp", Limit("user", 3, (10, "1m"))])
def size(name: str, times: int = 1, *, ctx: Context = CTX) -> int:
    ctx.progress(50)
    return len(name) * times


@app.task()
async def shout(name: str) -> str:
    return name.upper()


async def right() -> None:
    handle: Handle[int] = await size.enqueue("a", times=2)
    number: int = await handle.result(timeout="30s")
    other: str = (await shout.with_(delay=1.5, priority="high").enqueue("b")).result_sync(2)
    here: int = size.local("c") + number
    there: Coroutine[Any, Any, str] = shout.local("d")
    print(other, here, await there, size("e"), await shout("f"))
    size.with_(callback="https://example.org/").with_(callback=Callback("https://example.org/", ["task.*"], "whsec_"))
    secret = (await app.webhooks.create("https://example.org/", events=["*"], format="cloudevents")).secret
    sent: list[Delivery] = app.webhooks.deliveries_sync("id", state="failed")
    told: dict[str, Any] = verify_webhook(secret or "", {"webhook-id": "a"}, b"{}", tolerance="5m")
    print(sent, told)


async def wrong() -> None:
    if TYPE_CHECKING:
        await size.enqueue(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        size.enqueue_sync("a", count=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        size.enqueue_sync()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        size.with_(limits=[3])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        size.with_(callback=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await app.webhooks.change("id", format="xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        size.with_(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        text: str = size.local("c")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        print(text)
