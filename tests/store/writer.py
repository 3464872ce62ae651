"""A process that writes patients on four strands until it is killed, and tells of each commit that was acknowledged.

Run as `python -m tests.store.writer URI DATABASE NAME LEASE_SECONDS`. Prints `holder <name of its sequencer>`, then
`<id> <version>` after each answer.
"""

import asyncio
import sys

from fhir_server.store import sequencer
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, TYPES, create, patient, update

STRANDS = 4


async def main(uri: str, database: str, name: str) -> None:
    """Write, two of three times a new patient, else the strand's own one again."""
    store = await Store.open(uri, database=database, types=TYPES)
    print("holder", store._sequencer._name, flush=True)

    async def strand(which: int) -> None:
        number = 0
        while True:
            number += 1
            write = (
                update(f"{name}-{which}", patient(number))
                if number % 3
                else create(f"{name}-{which}-{number}", patient(1))
            )
            [committed] = await store.commit(*ANYBODY, [write])
            if committed.stored is not None:
                print(committed.stored.id, committed.stored.version, flush=True)

    await asyncio.gather(*map(strand, range(STRANDS)))


if __name__ == "__main__":
    sequencer.LEASE_SECONDS = float(sys.argv[4])
    asyncio.run(main(*sys.argv[1:4]))
