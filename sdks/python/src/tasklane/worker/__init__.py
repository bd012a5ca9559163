"""The worker: takes leases, runs handlers, reports. `Worker` is its only door.

The road of an attempt: `pump` leases it, the `ledger` keeps it, `threads`, `coroutines` or `processes` run it, `call`
turns what the handler did into an outcome, `pump` reports it. Beside the road: `keep` and `keeper` renew leases from a
process of their own, `watch` tells attempts to stop, `capture` takes what handlers print.
"""

from .worker import Worker

__all__ = ["Worker"]
