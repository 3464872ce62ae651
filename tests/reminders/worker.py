"""Workers that send reminders, to be killed: `python -m tests.reminders.worker COUNT URI DATABASE PORT OFFSET`. With
port 0 they make the call list instead, slowly.

So many at any time: who dies is replaced. Their clock is the machine's, less OFFSET microseconds. Each says in EHLO who
it is: worker-<pid>.example. They are forks of one process, because what takes longest at a start is to import.
"""

import asyncio
import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

from fhir_server.jobs import calling
from fhir_server.jobs.reminders import daily
from fhir_server.operations import call_list
from fhir_server.settings import Settings
from fhir_server.store import sequencer
from fhir_server.store.engine import tether
from tests.reminders.opening import opened


async def work(uri: str, database: str, port: str, offset: str) -> None:
    """Work until killed, with leases and pauses of a test's length."""
    daily.EVERY_SECONDS, daily.LEASE_SECONDS, daily.RENEW_SECONDS = 0.05, 1.0, 0.3
    calling.EVERY_SECONDS, calling.LEASE_SECONDS, call_list.AT_ONCE = 0.05, 1.0, 10
    sequencer.LEASE_SECONDS = 1.0
    me = f"worker-{os.getpid()}.example"
    settings = Settings.model_validate(
        {
            "dev": True,
            "base_url": "https://vaccines.example/fhir",
            "smtp_host": "127.0.0.1" if int(port) else "",
            "smtp_port": int(port) or 25,
            "smtp_security": "none",
            "smtp_from": f"reminders@{me}",
        }
    )
    async with opened(uri, database, lambda: time.time_ns() // 1_000 - int(offset), settings) as context:
        if int(port):
            daily.Daily(context).start()
        else:
            calling.Calling(context).start()
        await asyncio.Event().wait()


def replace_the_dead(count: int, *arguments: str) -> None:
    """Fork workers, until SIGTERM."""
    living: set[int] = set()

    def stop(number: int, frame: object) -> None:
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        while len(living) < count:
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                # Nobody is left behind where the parent is killed.
                ctypes.CDLL(None).prctl(tether.PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
                asyncio.run(work(*arguments))
            living.add(pid)
        living.discard(os.wait()[0])


if __name__ == "__main__":
    replace_the_dead(int(sys.argv[1]), *sys.argv[2:])
