"""How much a worker does at once, and how long it waits for what. Times in seconds."""

BATCH = 500
"""Most tasks asked for in one exchange."""
EXCHANGES = 4
"""Exchanges in flight at once: one may wait for work, one listen for cancellations, others report."""
REPORT_OUTCOMES = 1000
"""Most outcomes one exchange carries."""
REPORT_LINES = 5000
"""Most log lines, and most checkpoints, one exchange carries; the server takes 10 000 items of a list."""
REPORT_BYTES = 8 << 20
"""Most characters of results, failures and words one exchange carries; a single larger item still goes, alone."""
AHEAD = 0.1
"""So much work is leased ahead of the handlers, by how long they took lately."""
AHEAD_TASKS = 1500
"""Most tasks leased ahead of the handlers."""
READY_MOST = 1.0
"""A task that was leased ahead and has not begun for so long is given back."""
TICK = 0.1
"""Time between looks at what runs."""
WORDS_EVERY = 0.5
"""Words of one attempt go out at most once in this time (a third of its `heartbeat_timeout` if that is shorter)."""
WORDS_AFTER = 0.05
"""First words wait so long for the outcome to go with them."""
LISTEN_AFTER = 1.0
"""When all slots are taken by attempts that run for longer, a request that only listens for cancellations is parked."""
FORCE_AFTER = 2.0
"""From telling an attempt to stop until it is made to."""
STOP_GRACE = 4.0
"""From telling an attempt to stop until it is given up."""
CANCEL_GRACE = 8.0
"""As STOP_GRACE, where somebody cancelled the task; the server's own grace is 10 s."""
EXCHANGE_TIMEOUT = 30.0
BACK_OFF = 0.1
"""First span of the full-jitter back-off after failed exchanges."""
BACK_OFF_MAX = 5.0
REST_MAX = 1.0
"""Longest pause before the next wish while the server answers wishes at once with nothing."""
KEEPER_START = 10.0
"""How long the first lease waits for the process that keeps leases to be able to."""
LAST_REPORT = 10.0
"""How long a drain goes on trying to report what has ended."""
AT_ONCE = 2.0
"""How long an end at once tries to give back what is held."""

RESULT_BYTES = 1 << 20
LOG_LINE = 16 << 10
"""Longest log line."""
LOG_LINES = 10_000
"""Most lines of an attempt."""
LOG_BYTES = 1 << 20
"""Most characters of an attempt's lines."""
MESSAGE = 8 << 10
"""Longest failure message."""
STACK = 64 << 10
"""Longest stack."""
