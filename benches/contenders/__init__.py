"""The queues that `benches/queue.py` puts side by side, each behind the same few words.

    install            tables, tenants; once per database
    fill N             N no-op jobs in bulk
    single SECONDS     submits one by one on one connection for so long
    idle N             submits N jobs with pauses between them
    paced SECONDS N    submits N jobs a second over four connections
    work               a worker of its own until SIGTERM; a file of its handlers' times where asked for

Each runs in the environment of its own queue, so nothing here imports anything but the standard library
and that queue. What a contender prints last is one JSON value.
"""
