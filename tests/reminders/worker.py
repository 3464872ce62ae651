"""A worker that sends reminders: `python -m tests.reminders.worker URI DATABASE PORT OFFSET`, to be killed.

Its clock is the machine's, less OFFSET microseconds. It says in EHLO who it is: worker-<pid>.example.
"""

import asyncio
import os
import sys
import time

from fhir_server.context import Settings
from fhir_server.jobs.reminders import daily
from tests.reminders.opening import opened


async def work(uri: str, database: str, port: str, offset: str) -> None:
    """Work until killed, with a lease and pauses of a test's length."""
    daily.EVERY_SECONDS, daily.LEASE_SECONDS, daily.RENEW_SECONDS = 0.05, 1.0, 0.3
    me = f"worker-{os.getpid()}.example"
    settings = Settings.model_validate(
        {
            "dev": True,
            "base_url": "https://vaccines.example/fhir",
            "smtp_host": "127.0.0.1",
            "smtp_port": int(port),
            "smtp_security": "none",
            "smtp_from": f"reminders@{me}",
        }
    )
    async with opened(uri, database, lambda: time.time_ns() // 1_000 - int(offset), settings) as context:
        daily.Daily(context).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
