"""Users: what a user may be, and as whom they appear to the API.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#scopes-for-requesting-identity-data
"""

import re
import secrets
from collections.abc import Iterable
from datetime import MAXYEAR, UTC, date, datetime

from fhir_server.caller import Caller
from fhir_server.store.accounts.users import User

ROLES = frozenset({"recipient", "provider", "employer", "analyst", "administrator"})
STAFF = ROLES - {"recipient"}
"""Those who log in with a second factor."""

_ADULT = 18
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,127}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def login_name(text: str) -> str:
    """A login name as it is kept: in small letters, without white space around it."""
    return text.strip().casefold()


def new(
    login: str,
    roles: Iterable[str],
    patient: str = "",
    proxy_for: Iterable[tuple[str, int]] = (),
    practitioner: str = "",
    organization: str = "",
    external: str = "",
) -> User:
    """A user under a fresh subject. ValueError with a sentence where a role lacks what it is bound to."""
    name, held, children = login_name(login), frozenset(roles), tuple(proxy_for)
    if not _LOGIN.fullmatch(name):
        raise ValueError(f"a login name is made of letters, digits and . _ @ + - (not: {login!r})")
    if not held or held - ROLES:
        raise ValueError(f"a user's roles are of {', '.join(sorted(ROLES))}")
    for id in (patient, practitioner, organization, *(child for child, _ in children)):
        if id and not _ID.fullmatch(id):
            raise ValueError(f"{id!r} is no id of a resource")
    if ("recipient" in held) != bool(patient or children):
        raise ValueError("a recipient is bound to a Patient, or is the proxy of one; nobody else is")
    if "provider" in held and not (practitioner and organization):
        raise ValueError("a provider is bound to a Practitioner and an Organization")
    if "employer" in held and not organization:
        raise ValueError("an employer is bound to an Organization")
    subject = f"user-{secrets.token_urlsafe(12)}"
    return User(name, subject, held, patient, children, practitioner, organization, external=external)


def patients(user: User, now: int) -> frozenset[str]:
    """Ids of the Patients a user is, or acts for at this moment (microseconds)."""
    children = (id for id, until in user.proxy_for if not until or until > now)
    return frozenset(filter(None, (user.patient, *children)))


def fhir_user(user: User) -> str:
    """The resource a user is, as a relative reference; empty where there is none."""
    if user.practitioner:
        return f"Practitioner/{user.practitioner}"
    return f"Patient/{user.patient}" if user.patient else ""


def caller(user: User, client: str, scopes: tuple[str, ...], now: int, patient: str = "") -> Caller:
    """A user as the API sees them through a client at this moment (microseconds)."""
    return Caller(
        user.subject,
        user.roles,
        client,
        scopes,
        patients(user, now),
        patient,
        user.practitioner,
        user.organization,
        proxies=tuple((id, until) for id, until in user.proxy_for if not until or until > now),
    )


def adult_on(born: date) -> int:
    """The moment (microseconds since 1970) at which somebody born that day is 18."""
    leap = (born.month, born.day) == (2, 29)
    # Births are written down that are so far off that no calendar holds the 18th birthday.
    year = min(born.year + _ADULT, MAXYEAR)
    day = datetime(year, 3 if leap else born.month, 1 if leap else born.day, tzinfo=UTC)
    return int(day.timestamp()) * 1_000_000
