"""Idempotency: a request with an Idempotency-Key is done once, and answered alike however often it is sent.

https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header

Only what has been done is kept: a request that was refused is judged anew.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import msgspec

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.writes import reply_to
from fhir_server.store.failures import contended
from fhir_server.store.records import AlreadyDone, Committed, Once, Recalled

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def once(context: Context, caller: Caller, keys: Sequence[str], *request: str | bytes | None) -> Once | None:
    """The promise that `keys`, the values of the header, stand for; None where there are none. A key belongs to its
    caller and to `request`: method, address, conditions and body. FhirError 400 for a malformed key, or several."""
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        text = "Idempotency-Key is given once: 1 to 255 printable ASCII characters."
        raise refuse(400, "invalid", "malformed-idempotency-key", text, "Idempotency-Key")
    fingerprint = _digest([part if isinstance(part, bytes) else (part or "").encode() for part in request])
    key = _digest([caller.subject, caller.client, keys[0]])
    return Once(key, fingerprint, context.settings.idempotency_seconds)


def of_entry(whole: Once | None, number: int) -> Once | None:
    """The promise for one entry of a batch, which is done by itself."""
    return replace(whole, key=_digest([whole.key, number])) if whole is not None else None


async def performed(
    context: Context, caller: Caller, predicate: Predicate, once: Once | None, perform: Callable[[], Awaitable[Reply]]
) -> Reply:
    """What `perform` answers, which hands `once` to the store; where that has been done, what it answered then.

    FhirError 422 where the key came with another request.
    """
    if once is None:
        return await perform()
    recalled = await context.store.recall(caller, predicate, once)
    if recalled is not None:
        return _reply(recalled.committed)
    try:
        return await perform()
    except AlreadyDone:
        # The same request was under way and has ended meanwhile.
        return _reply((await expect(context, caller, predicate, once)).committed)


async def expect(context: Context, caller: Caller, predicate: Predicate, once: Once) -> Recalled:
    """What came of a request that has been done. FhirError 409 where that has expired in this very moment."""
    recalled = await context.store.recall(caller, predicate, once)
    if recalled is None:
        raise contended()
    return recalled


def _reply(committed: Sequence[Committed]) -> Reply:
    return reply_to(committed[0]) if len(committed) == 1 else Reply(204)


def _digest(parts: object) -> str:
    return sha256(msgspec.json.encode(parts)).hexdigest()
