"""A worker process: serves the application on the socket its supervisor bound.

Started by serve.py as `python -m fhir_server.worker SOCKET_FD READY_FD`; settings come through the environment, never
on the command line, because they may hold a password.
"""

import asyncio
import logging
import os
import socket
import sys

import uvicorn
from uvloop import new_event_loop

from fhir_server.app import create_app
from fhir_server.context import Settings
from fhir_server.http.protocol import Guarded

SETTINGS = "FHIR_SERVER_WORKER_SETTINGS"
URI = "FHIR_SERVER_WORKER_MONGODB_URI"


class _Server(uvicorn.Server):
    """A server that tells its supervisor when it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: int) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            os.write(self._ready, b"ready\n")
            os.close(self._ready)


def main() -> None:
    """Serve until SIGTERM; exit status 3 when starting up failed."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings.model_validate_json(os.environ.pop(SETTINGS))
    app = create_app(settings, os.environ.pop(URI))
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=True,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        http=Guarded,
        ws="none",
    )
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = _Server(config, int(sys.argv[2]))
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(server.serve(sockets=[listening]))
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
