"""`python -m dev.gateway`: serve on 127.0.0.1 until told to stop."""

import logging
import os
import sys

import uvicorn

from dev.gateway import settings
from dev.gateway.app import Gateway


def main() -> int:
    """Exit status 2 with one line when a setting is unusable."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        wanted = settings.read(os.environ)
    except settings.SettingsError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 2
    uvicorn.run(
        Gateway(wanted),
        host=wanted.host,
        port=wanted.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
