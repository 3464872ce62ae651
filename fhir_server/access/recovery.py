"""Recovery: a one-time code, handed over in person, with which somebody sets a password; no e-mail is needed.

https://pages.nist.gov/800-63-4/sp800-63b.html#accountrecovery

A provider who sees the recipient gives the code, or an administrator on the command line. It works once, for an hour;
setting a password ends what was open: sessions, and what apps were granted.
"""

import secrets

from fhir_server.access import one_time_codes, passwords, users
from fhir_server.access.authority import Authority
from fhir_server.access.logins import too_many
from fhir_server.store.accounts.users import User


async def give(authority: Authority, user: User) -> str:
    """A code for this user, shown once; an earlier one no longer works. FhirError 503."""
    code = one_time_codes.new()
    key, expires = authority.keyed("recovery", user.login), authority.now() + authority.lifetimes.recovery
    await authority.passing.remove("recovery", key)
    await authority.passing.add("recovery", key, expires, {"code": authority.keyed("recovery-code", code)})
    return one_time_codes.shown(code)


async def redeem(authority: Authority, login: str, code: str, password: str) -> bool:
    """Set a password, with a code that was given for this user; whether it was.

    ValueError for a password that cannot be; FhirError 429 after too many wrong codes, 503.
    """
    fresh = await passwords.hashed(password)
    name, now, limits = users.login_name(login), authority.now(), authority.limits
    key = authority.keyed("recovery", name)
    if await authority.passing.count("wrong", f"recovery-{key}", now + limits.login_window, now) > limits.wrong_logins:
        raise too_many(limits.login_window)
    kept = await authority.passing.find("recovery", key, now)
    given = authority.keyed("recovery-code", one_time_codes.typed(code))
    user = await authority.users.find(name)
    right = kept is not None and secrets.compare_digest(kept["code"], given)
    if not right or user is None or not user.enabled or not await authority.passing.remove("recovery", key):
        return False
    await authority.users.set_password(name, fresh)
    await end_all(authority, user)
    for counted in (f"recovery-{key}", authority.keyed("login", name)):
        await authority.passing.remove("wrong", counted)
    return True


async def end_all(authority: Authority, user: User) -> None:
    """End a user's sessions and what apps were granted in their name. FhirError 503."""
    await authority.passing.remove_of("session", user.subject)
    await authority.grants.revoke_of_subject(user.subject)
