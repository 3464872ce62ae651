"""Users: the people who log in, what they are and for whom they may act.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#scopes-for-requesting-identity-data

No FHIR resources: nothing of them can be searched or read over the API. A document's `_id` is the login name, which is
private; `s` is the opaque subject that tokens and logs name instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pymongo.errors import DuplicateKeyError

from fhir_server.store.database import Database
from fhir_server.store.driver import Document

USERS = "users"
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class User:
    """A user. `roles` of: recipient, provider, employer, analyst, administrator."""

    login: str
    subject: str
    roles: frozenset[str]
    patient: str = ""
    """Id of the Patient a recipient is."""
    proxy_for: tuple[tuple[str, int], ...] = ()
    """Ids of the Patients a recipient acts for, each with the moment (microseconds) a child is 18; 0 for others."""
    practitioner: str = ""
    organization: str = ""
    password: str = field(default="", repr=False)
    """argon2id; empty before the first one is set."""
    totp: str = field(default="", repr=False)
    """Secret of the second factor, sealed; empty where there is none."""
    totp_step: int = 0
    """The last step of the second factor that was used: each counts once."""
    external: str = ""
    """Subject by which an external OpenID provider knows the user."""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Users:
    """The users of one database. All of it may raise FhirError 503."""

    database: Database

    async def find(self, login: str) -> User | None:
        """The user with this login name, also where disabled."""
        return await self._one({"_id": login})

    async def by_subject(self, subject: str) -> User | None:
        """The user that tokens name so."""
        return await self._one({"s": subject})

    async def by_external(self, subject: str) -> User | None:
        """The user whom the external OpenID provider names so."""
        return await self._one({"external": subject})

    async def of_patient(self, patient: str) -> User | None:
        """The recipient who is this Patient."""
        return await self._one({"patient": patient})

    async def all(self) -> list[User]:
        """Every user, by login name."""
        async with self.database.reading():
            rows = await self.database.rows(USERS, [{"$sort": {"_id": 1}}, {"$limit": _MOST}])
        return [_user(row) for row in rows]

    async def add(self, user: User) -> bool:
        """Add a user; False where the login name is taken."""
        async with self.database.writing():
            try:
                await self.database.collection(USERS).insert_one(_document(user))
            except DuplicateKeyError:
                return False
        return True

    async def put(self, user: User) -> None:
        """Add a user, or replace what is known under this login name."""
        async with self.database.writing():
            await self.database.collection(USERS).replace_one({"_id": user.login}, _document(user), upsert=True)

    async def set_password(self, login: str, password: str) -> None:
        """Replace a user's password hash."""
        async with self.database.writing():
            await self.database.collection(USERS).update_one({"_id": login}, {"$set": {"password": password}})

    async def set_proxies(self, login: str, proxy_for: Sequence[tuple[str, int]]) -> None:
        """Replace whom a user acts for."""
        change = {"proxy_for": [list(each) for each in proxy_for]}
        async with self.database.writing():
            await self.database.collection(USERS).update_one({"_id": login}, {"$set": change})

    async def add_proxy(self, login: str, patient: str, until: int) -> None:
        """Let a user act for one more Patient, whoever else adds one at the same moment."""
        collection = self.database.collection(USERS)
        async with self.database.writing():
            await collection.update_one({"_id": login}, {"$addToSet": {"proxy_for": [patient, until]}})

    async def use_step(self, login: str, step: int) -> bool:
        """Use up a step of the second factor; False where it, or a later one, was used before."""
        where = {"_id": login, "totp_step": {"$lt": step}}
        async with self.database.writing():
            done = await self.database.collection(USERS).update_one(where, {"$set": {"totp_step": step}})
        return bool(done.matched_count == 1)

    async def disable(self, login: str) -> bool:
        """Take a user's access away; False where there is none. Grants and sessions are ended apart."""
        async with self.database.writing():
            done = await self.database.collection(USERS).update_one({"_id": login}, {"$set": {"enabled": False}})
        return bool(done.matched_count == 1)

    async def _one(self, which: Document) -> User | None:
        async with self.database.reading():
            found: Document | None = await self.database.collection(USERS).find_one(which)
        return None if found is None else _user(found)


def _document(user: User) -> Document:
    return {
        "_id": user.login,
        "s": user.subject,
        "roles": sorted(user.roles),
        "patient": user.patient,
        "proxy_for": [list(each) for each in user.proxy_for],
        "practitioner": user.practitioner,
        "organization": user.organization,
        "password": user.password,
        "totp": user.totp,
        "totp_step": user.totp_step,
        "external": user.external,
        "enabled": user.enabled,
    }


def _user(row: Document) -> User:
    return User(
        row["_id"],
        row["s"],
        frozenset(row["roles"]),
        row["patient"],
        tuple((id, int(until)) for id, until in row["proxy_for"]),
        row["practitioner"],
        row["organization"],
        row["password"],
        row["totp"],
        int(row["totp_step"]),
        row["external"],
        row["enabled"],
    )
