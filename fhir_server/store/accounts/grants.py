"""Grants: what users and administrators have allowed clients, with the code and tokens that stand for it.

https://hl7.org/fhir/smart-app-launch/app-launch.html

A document is {_id, s: subject, c: client, exp, n: version, x: revoked, g: the rest}. Code and tokens are kept as
digests: a copy of the database opens nothing. Every change names the version it was made from: of two requests with the
same code or refresh token one wins, and the other sees that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_server.caller import Caller
from fhir_server.store.database import Database
from fhir_server.store.driver import Document

GRANTS = "grants"


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code given out: until when it may be redeemed (Unix seconds), and with what."""

    digest: str
    expires: int
    redirect_uri: str
    challenge: str
    used: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """An access token: its digest, its end, and its scopes, which may be fewer than the grant's."""

    digest: str
    until: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """One authorization. Times are Unix seconds; it is forgotten some time after `expires`."""

    id: str
    caller: Caller
    expires: int
    code: Code | None = None
    access: tuple["Access", ...] = ()
    refresh: str = ""
    """Digest of the newest refresh token; empty where none was given."""
    refresh_until: int = 0
    spent: tuple[str, ...] = ()
    """Digests of refresh tokens that were replaced: whoever shows one of them again is not alone in having it."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What token answers tell besides: `patient`, `encounter`, `intent`, `need_patient_banner`."""
    nonce: str = ""
    fhir_user: str = ""
    authenticated: int = 0
    """When the user logged in."""
    revoked: bool = False
    version: int = 0
    session: str = ""
    """The login with whose end its refresh tokens end; empty where they outlast it."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The grants of one database. All of it may raise FhirError 503."""

    database: Database

    async def add(self, grant: Grant) -> None:
        """Keep a new grant."""
        async with self.database.writing():
            await self.database.collection(GRANTS).insert_one(_document(grant))

    async def find(self, id: str) -> Grant | None:
        """The grant with this id, also where it is revoked or over."""
        async with self.database.reading():
            found: Document | None = await self.database.collection(GRANTS).find_one({"_id": id})
        return None if found is None else _grant(found)

    async def replace(self, grant: Grant) -> bool:
        """Store what has become of a grant that was found; False where somebody else changed it meanwhile."""
        changed = _document(replace(grant, version=grant.version + 1))
        where = {"_id": grant.id, "n": grant.version}
        async with self.database.writing():
            done = await self.database.collection(GRANTS).replace_one(where, changed)
        return bool(done.matched_count == 1)

    async def revoke(self, id: str) -> None:
        """End a grant, whatever else is happening to it: no code or token of it works any more."""
        await self._revoke({"_id": id})

    async def revoke_of_client(self, client: str) -> None:
        """End all that a client was allowed."""
        await self._revoke({"c": client})

    async def revoke_of_subject(self, subject: str) -> None:
        """End all that clients were allowed in the name of a user."""
        await self._revoke({"s": subject})

    async def purge(self, before: int) -> None:
        """Forget the grants that were over before this moment."""
        async with self.database.writing():
            await self.database.collection(GRANTS).delete_many({"exp": {"$lt": before}})

    async def _revoke(self, which: Mapping[str, Any]) -> None:
        # The version is raised, too: a refresh under way has read the grant as it was, and must fail.
        ended = {"$set": {"x": True}, "$inc": {"n": 1}}
        async with self.database.writing():
            await self.database.collection(GRANTS).update_many(which, ended)


def _document(grant: Grant) -> Document:
    caller, code = grant.caller, grant.code
    return {
        "_id": grant.id,
        "s": caller.subject,
        "c": caller.client,
        "exp": grant.expires,
        "n": grant.version,
        "x": grant.revoked,
        "g": {
            "roles": sorted(caller.roles),
            "scopes": list(caller.scopes),
            "patients": sorted(caller.patients),
            "patient": caller.patient,
            "practitioner": caller.practitioner,
            "organization": caller.organization,
            "proxies": [list(each) for each in caller.proxies],
            "code": None if code is None else [code.digest, code.expires, code.redirect_uri, code.challenge, code.used],
            "access": [[token.digest, token.until, list(token.scopes)] for token in grant.access],
            "refresh": grant.refresh,
            "refresh_until": grant.refresh_until,
            "spent": list(grant.spent),
            "told": dict(grant.told),
            "nonce": grant.nonce,
            "fhir_user": grant.fhir_user,
            "authenticated": grant.authenticated,
            **({"session": grant.session} if grant.session else {}),
        },
    }


def _grant(row: Document) -> Grant:
    rest = row["g"]
    caller = Caller(
        row["s"],
        frozenset(rest["roles"]),
        row["c"],
        tuple(rest["scopes"]),
        frozenset(rest["patients"]),
        rest["patient"],
        rest["practitioner"],
        rest["organization"],
        proxies=tuple((id, int(until)) for id, until in rest["proxies"]),
    )
    return Grant(
        row["_id"],
        caller,
        int(row["exp"]),
        None if rest["code"] is None else Code(*rest["code"]),
        tuple(Access(digest, int(until), tuple(scopes)) for digest, until, scopes in rest["access"]),
        rest["refresh"],
        int(rest["refresh_until"]),
        tuple(rest["spent"]),
        rest["told"],
        rest["nonce"],
        rest["fhir_user"],
        int(rest["authenticated"]),
        bool(row["x"]),
        int(row["n"]),
        rest.get("session", ""),
    )
