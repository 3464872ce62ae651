"""What a forked process of the server does: serve the application, prepare the first boot, or index again.

https://www.uvicorn.org/deployment/

Started by forks.py, with nothing on the command line.
"""

import asyncio
import socket
import sys
from multiprocessing.connection import Connection

import uvicorn
from uvloop import new_event_loop

from fhir_server import app
from fhir_server.fhir.outcome import FhirError
from fhir_server.http.protocol import Guarded
from fhir_server.settings import Settings
from fhir_server.store.schema import SchemaError
from smart_health_cards import CardError


class _Server(uvicorn.Server):
    """A server that tells its supervisor when it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: Connection) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready.send_bytes(b"ready")
            self._ready.close()


def serve(settings: Settings, uri: str, listening: socket.socket, ready: Connection) -> None:
    """Serve until SIGTERM; exit status 3 when starting up failed."""
    config = uvicorn.Config(
        app.create_app(settings, uri),
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
    server = _Server(config, ready)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(server.serve(sockets=[listening]))
    if not server.started:
        sys.exit(3)


def prepare(settings: Settings, uri: str, telling: Connection) -> None:
    """The first boot; tells whether stored resources are to be indexed again, or a sentence about what fails."""
    try:
        telling.send((asyncio.run(app.prepare(settings, uri)), ""))
    except (SchemaError, FhirError, CardError, OSError, ValueError) as error:
        telling.send((False, str(error)))


def index(settings: Settings, uri: str) -> None:
    """Index again what was stored before an upgrade, beside the workers, until it is done."""
    asyncio.run(app.complete_index(settings, uri))
