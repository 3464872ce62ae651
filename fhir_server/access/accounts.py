"""Accounts: how a recipient comes to have one, and changes its password.

https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver

A login name is what its owner wished for and four digits more, always: nobody learns by asking which names are taken.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from fhir_server.access import passwords, rates, recovery, users
from fhir_server.access.authority import Authority
from fhir_server.access.logins import too_many
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.store.accounts.users import User

_ONCE_SECONDS = 86_400
_OPENED = "registered"
_LOOKS, _LOOK_SECONDS = 50, 0.1
"""How often, and how far apart, a form that was sent twice asks what has come of it the first time."""


def proposed(wished: str, patient: str, proxy_for: Iterable[tuple[str, int]] = ()) -> User:
    """A recipient under a name like this one. ValueError where it can be no login name."""
    user = users.new(wished, ["recipient"], patient, proxy_for)
    if "@" in user.login or len(user.login) > 40:
        raise ValueError("a name of up to 40 letters, digits and . _ -")
    return user


async def open_account(authority: Authority, user: User, password: str) -> User:
    """Keep the user with this password (as `passwords.hashed` has it), under the name they get. FhirError 503."""
    while True:
        named = replace(user, login=f"{user.login}-{secrets.randbelow(9_000) + 1_000}", password=password)
        if await authority.users.add(named):
            return named


async def change_password(authority: Authority, subject: str, current: str, fresh: str) -> bool:
    """Whether it was changed: not where `current` is wrong. All that was open ends.

    ValueError for a password that cannot be; FhirError 429 after too many wrong ones, 503.
    """
    hashed, now, limits = await passwords.hashed(fresh), authority.now(), authority.limits
    key = f"change-{authority.keyed('login', subject)}"
    if await authority.passing.count("wrong", key, now + limits.login_window, now) > limits.wrong_logins:
        raise too_many(limits.login_window)
    user = await authority.users.by_subject(subject)
    if user is None or not await passwords.matches(user.password, current):
        return False
    await authority.passing.remove("wrong", key)
    await authority.users.set_password(user.login, hashed)
    await recovery.end_all(authority, user)
    return True


@asynccontextmanager
async def once(authority: Authority, form: str) -> AsyncIterator[bool]:
    """Whether the registration under this mark of a form is sent for the first time within a day; so it may be again
    where nothing came of it. FhirError 503."""
    sent = authority.keyed("registering", form)
    first = await authority.passing.add("registering", sent, authority.now() + _ONCE_SECONDS)
    try:
        yield first
    except FhirError:
        if first:
            with suppress(FhirError):
                await authority.passing.remove("registering", sent)
        raise


async def remember(authority: Authority, form: str, user: User | None) -> None:
    """Keep for a day whose account the form with this mark has opened, or that it has opened none. FhirError 503."""
    sent, until = authority.keyed("registering", form), authority.now() + _ONCE_SECONDS
    await authority.passing.add(_OPENED, sent, until, {"subject": "" if user is None else user.subject})


async def opened_before(authority: Authority, form: str, password: str) -> User | None:
    """Whose account the form with this mark has opened, or is opening now: for who has sent it again, with the same
    password. None where nothing came of it within a few seconds, and for another password. FhirError 503."""
    sent = authority.keyed("registering", form)
    for _ in range(_LOOKS):
        kept = await authority.passing.find(_OPENED, sent, authority.now())
        if kept is not None:
            user = await authority.users.by_subject(str(kept["subject"]))
            return user if user is not None and await passwords.matches(user.password, password) else None
        await asyncio.sleep(_LOOK_SECONDS)
    return None


async def require_slow(authority: Authority, address: str) -> None:
    """FhirError 429 where too many were registered, or invitations tried, from this address within an hour; 503."""
    if await rates.hourly(authority, "registrations", address) > authority.limits.registrations:
        issue = Issue("throttled", "too-many-registrations", "Too many registrations from this address; wait an hour.")
        raise FhirError(429, (issue,), {"Retry-After": str(rates.HOUR)})
