"""Keys, against a real server of their own: from the first one on it is closed."""

import asyncio

import pytest

from tasklane import App, Refused


def test_keys_open_what_they_grant(own_server, work):
    nobody = App(own_server.url)
    master = nobody.keys.create_sync("master", ["admin"])
    assert master.secret not in repr(master)
    with pytest.raises(Refused, match="unauthorized"):
        nobody.enqueue_sync("t")
    operator = App(own_server.url, api_key=master.secret)
    submits = operator.keys.create_sync("shop", ["submit", "read"], tenant="acme", rate=(1000, "1s"), user="ada")
    works = operator.keys.create_sync("worker", ["work"], lanes=[("*", ["shout"])])
    assert [it.name for it in operator.keys.all_sync()] == ["master", "shop", "worker"]
    assert submits.data["tenant"] == "acme" and "key" not in submits.data

    shop, crew = App(own_server.url, api_key=submits.secret), App(own_server.url, api_key=works.secret)

    @crew.task()
    def shout(text: str) -> str:
        return text.upper()

    work(crew)
    handle = shop.enqueue_sync("shout", {"text": "ahoy"})
    assert handle.result_sync(30) == "AHOY"
    assert handle.task_sync()["tenant"] == "acme"
    with pytest.raises(Refused, match="forbidden"):
        shop.enqueue_sync("shout", {"text": "x"}, tenant="zeta")
    with pytest.raises(Refused, match="forbidden"):
        shop.keys.all_sync()

    rotated = operator.keys.rotate_sync(submits.id, overlap=0)
    with pytest.raises(Refused, match="unauthorized"):
        shop.enqueue_sync("shout", {"text": "x"})
    again = App(own_server.url, api_key=rotated.secret)
    again.enqueue_sync("shout", {"text": "x"}).result_sync(30)
    operator.keys.revoke_sync(submits.id)
    with pytest.raises(Refused, match="unauthorized"):
        again.enqueue_sync("shout", {"text": "x"})
    operator.keys.remove_sync(submits.id)

    async def main():
        made = await operator.keys.create("other", ["read"])
        assert (await operator.keys.rotate(made.id)).secret != made.secret
        assert [it.name for it in await operator.keys.all()] == ["master", "worker", "other"]
        await operator.keys.revoke(made.id)
        await operator.keys.remove(made.id)

    asyncio.run(main())
    with pytest.raises(ValueError, match="list"):
        operator.keys.create_sync("x", "admin")
