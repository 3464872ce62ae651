"""Logins: name, password and second factor looked at, and how often somebody may be wrong.

https://pages.nist.gov/800-63-4/sp800-63b.html#ratelimit

A try is counted before it is looked at, so that many at once get no more tries than one after the other, and taken back
when it was right. Names nobody has are counted and take as long as others: an answer tells nothing about who is known.
"""

from dataclasses import dataclass

from fhir_server.access import passwords, second_factor, users
from fhir_server.access.authority import Authority
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.store.accounts.users import User

_MINUTE = 60
_OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody who logs in has typed."""

    login: str
    password: str
    code: str = ""


async def login(authority: Authority, given: Given) -> User | None:
    """The user, if all of it is right. FhirError 429 after too many wrong tries; 503."""
    name, now = users.login_name(given.login), authority.now()
    account = authority.keyed("login", name)
    limits = authority.limits
    if await authority.passing.counted("wrong", _OVERALL, now) >= limits.wrong_logins_overall:
        raise too_many(_MINUTE)
    if await authority.passing.count("wrong", account, now + limits.login_window, now) > limits.wrong_logins:
        raise too_many(limits.login_window)
    user = await authority.users.find(name)
    right = await passwords.matches(user.password if user is not None and user.enabled else "", given.password)
    # In this order, so that a code is not used up by a wrong password.
    if user is None or not right or not await _second(authority, user, given.code, now):
        await authority.passing.count("wrong", _OVERALL, now + _MINUTE, now)
        return None
    await authority.passing.remove("wrong", account)
    return user


async def _second(authority: Authority, user: User, code: str, now: int) -> bool:
    """Whether the second factor is right, where the user has one. Staff without one cannot log in."""
    if not user.totp:
        return not user.roles & users.STAFF
    secret = second_factor.opened(user.totp, authority.secret)
    step = second_factor.step_of(secret, code, now)
    return step is not None and await authority.users.use_step(user.login, step)


def too_many(seconds: int) -> FhirError:
    """429: somebody was wrong too often."""
    issue = Issue("throttled", "too-many-logins", "Too many wrong logins. Wait a while before the next try.")
    return FhirError(429, (issue,), {"Retry-After": str(seconds)})
