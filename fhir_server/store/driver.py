"""Driver: the few calls that differ between PyMongo's async API and Motor.

https://www.mongodb.com/docs/languages/python/pymongo-driver/current/reference/migration/

Everything else (`find_one`, `insert_many`, `replace_one`, ...) is awaited alike and called on the collection itself.
In PyMongo `aggregate` and `list_indexes` are coroutines and `start_session` is not; in Motor it is the other way
round. An un-awaited `start_transaction` silently runs without a transaction, so both stand here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from fhir_server.store import wait_for

DriverName = Literal["pymongo", "motor"]
Document = dict[str, Any]
Pipeline = Sequence[Mapping[str, Any]]
Client = Any
Collection = Any
Session = Any
"""The two drivers' objects share no type; what the store calls on them is the part both have."""

MAJORITY = WriteConcern(w="majority", j=True)
LOCAL = ReadConcern("local")
MAJORITY_READ = ReadConcern("majority")
SNAPSHOT = ReadConcern("snapshot")
UNSAID = ReadConcern()
OPTIONS: CodecOptions[Document] = CodecOptions(document_class=dict)

SELECTION_MS = 5_000
"""A request waits this long for a database that is being started again (0.5 to 3.3 s measured)."""

POOL = 32
"""Connections per process: 16 reads, 4 writes and the housekeeping never wait for one."""


class Driver(Protocol):
    """What the store needs of a driver beyond the calls both have alike."""

    name: DriverName

    def connect(self, uri: str) -> Client:
        """A client; nothing is sent yet."""

    async def close(self, client: Client) -> None:
        """Close its connections."""

    async def rows(self, collection: Collection, pipeline: Pipeline, session: Session | None = None) -> list[Document]:
        """All documents the pipeline gives."""

    async def indexes(self, collection: Collection) -> list[Document]:
        """The collection's indexes."""

    async def session(self, client: Client) -> Session:
        """A session; end it with `end_session`."""

    async def begin(self, session: Session, reads: bool = True) -> None:
        """Start a transaction: snapshot reads, journalled majority writes, primary. One that begins with `bulkWrite`
        must not say how it `reads`: the embedded engine knows no read concern there."""


def _settings() -> dict[str, Any]:
    return {
        "w": "majority",
        "journal": True,
        "readConcernLevel": "local",
        "readPreference": "primary",
        "retryWrites": True,
        "retryReads": True,
        # Recovers from a failover in 0.5 s instead of 10 s.
        "serverMonitoringMode": "poll",
        "heartbeatFrequencyMS": 500,
        "serverSelectionTimeoutMS": SELECTION_MS,
        "connectTimeoutMS": SELECTION_MS,
        "maxPoolSize": POOL,
        "appname": "fhir-server",
    }


class PyMongo:
    """PyMongo's own asynchronous client: the default."""

    name: DriverName = "pymongo"

    def connect(self, uri: str) -> Client:
        wait_for.install()
        return AsyncMongoClient(uri, **_settings())

    async def close(self, client: Client) -> None:
        await client.close()

    async def rows(self, collection: Collection, pipeline: Pipeline, session: Session | None = None) -> list[Document]:
        cursor = await collection.aggregate(pipeline, session=session)
        found: list[Document] = await cursor.to_list()
        return found

    async def indexes(self, collection: Collection) -> list[Document]:
        cursor = await collection.list_indexes()
        return [dict(index) for index in await cursor.to_list()]

    async def session(self, client: Client) -> Session:
        return client.start_session()

    async def begin(self, session: Session, reads: bool = True) -> None:
        await session.start_transaction(
            read_concern=SNAPSHOT if reads else UNSAID,
            write_concern=MAJORITY,
            read_preference=ReadPreference.PRIMARY,
        )


class Motor:
    """Motor 3.7, threads under an asynchronous surface; past its end of life since 2026-05-14, selectable."""

    name: DriverName = "motor"

    def connect(self, uri: str) -> Client:
        # Imported only where it is chosen: it starts a thread pool of its own.
        from motor.motor_asyncio import AsyncIOMotorClient

        return AsyncIOMotorClient(uri, **_settings())

    async def close(self, client: Client) -> None:
        client.close()

    async def rows(self, collection: Collection, pipeline: Pipeline, session: Session | None = None) -> list[Document]:
        found: list[Document] = await collection.aggregate(list(pipeline), session=session).to_list(None)
        return found

    async def indexes(self, collection: Collection) -> list[Document]:
        return [dict(index) for index in await collection.list_indexes().to_list(None)]

    async def session(self, client: Client) -> Session:
        return await client.start_session()

    async def begin(self, session: Session, reads: bool = True) -> None:
        session.start_transaction(
            read_concern=SNAPSHOT if reads else UNSAID,
            write_concern=MAJORITY,
            read_preference=ReadPreference.PRIMARY,
        )


def driver(name: str) -> Driver:
    """The driver of this name; ValueError for any other than `pymongo` and `motor`."""
    if name == "pymongo":
        return PyMongo()
    if name == "motor":
        return Motor()
    raise ValueError(f"MONGODB_DRIVER is pymongo or motor, not {name!r}.")
