"""The HTTP server in front of ministack: uvicorn with the parser of httptools, in place of hypercorn with h11.

One process answers everything, so what a request costs decides how long a demo or a test takes. h11 is written in Python; llhttp, which
httptools wraps, is written in C. A DynamoDB GetItem takes 2.0 ms of the processor instead of 2.7 ms (two cores, 3,000 requests one by one).

Hook: ``hypercorn.asyncio.serve``, which ``ministack.app.main`` imports when it is called. Of hypercorn's settings it uses the address, the
seconds that an idle connection stays open, and how long requests may take to end after SIGTERM.
"""

from __future__ import annotations

from typing import Any

import hypercorn.asyncio
import uvicorn


def install() -> None:
    """Put the hook in place."""
    hypercorn.asyncio.serve = _serve


async def _serve(app: Any, config: Any) -> None:
    """Answer requests until SIGTERM or SIGINT.

    Raises:
        SystemExit: the port is taken; the log says so.
    """
    [address] = config.bind
    host, port = address.rsplit(":", 1)
    settings = uvicorn.Config(
        app,
        host=host,
        port=int(port),
        http="httptools",
        ws="wsproto",
        lifespan="on",
        log_config=None,
        access_log=False,
        # The app adds both as AWS does, and every sender is on this machine: none is a proxy who speaks for another.
        server_header=False,
        date_header=False,
        proxy_headers=False,
        # ministack keeps the caller in context variables: a request never begins with those of the one before it.
        reset_contextvars=True,
        timeout_keep_alive=config.keep_alive_timeout,
        timeout_graceful_shutdown=int(config.graceful_timeout),
    )
    await uvicorn.Server(settings).serve()
