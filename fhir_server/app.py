"""The composition root: the only file that wires database, web framework and libraries together."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from fhir_server.access import card_keys, policy, secret
from fhir_server.access.tokens import Tokens
from fhir_server.caller import SERVER, Caller, Predicate, allow_all
from fhir_server.context import Context, Settings
from fhir_server.fhir.outcome import FhirError
from fhir_server.http.card_issuers import issuer_routes
from fhir_server.http.cards import card_routes
from fhir_server.http.docs import docs_routes
from fhir_server.http.health import health_routes
from fhir_server.http.jobs import job_routes
from fhir_server.http.links import link_routes
from fhir_server.http.routes import fhir_routes
from fhir_server.jobs.runner import Runner
from fhir_server.operations import shipped
from fhir_server.operations.catalogue import OPERATIONS
from fhir_server.operations.health_cards_corrections import Corrections
from fhir_server.operations.registry import Registry
from fhir_server.store.store import Store
from smart_health_cards import TrustList

log = logging.getLogger("fhir_server.app")

_REST = 1.0
"""Beside a running server an upgrade's indexing pauses as long as it works."""
_AGAIN_SECONDS = 5.0


def now() -> int:
    """The clock: microseconds since 1970 in UTC."""
    return time.time_ns() // 1_000


async def open_context(settings: Settings, mongodb_uri: str) -> Context:
    """A Context on an open database. The caller closes `context.store`."""
    # First, because it makes the folder of all keys, which nobody else may enter.
    link_secret = secret.load_or_create(settings.data / "keys" / "links")
    keys = card_keys.folder(settings.data, None, settings.card_passphrase)
    tenants = {name: card_keys.folder(settings.data, name, settings.card_passphrase) for name in settings.card_tenants}
    if settings.card_directory is not None:
        TrustList.from_snapshot(settings.card_directory.read_bytes())  # a start is the time to hear that it is broken
    store = await Store.open(
        mongodb_uri, database=settings.database, driver=settings.mongodb_driver, base=settings.base, clock=now
    )
    tokens = Tokens(store.grants, now, settings.base)
    return Context(settings, store, now, keys, tenants, link_secret, tokens)


def permitted(settings: Settings, caller: Caller) -> Predicate:
    """What exists for somebody whose work is done later: what they may see by then."""
    return allow_all if settings.dev or caller == SERVER else policy.access(caller, now(), settings.small_cell)


async def prepare(settings: Settings, mongodb_uri: str) -> None:
    """First boot, before any worker: indexes, a card key, and the resources that come with the product."""
    context = await open_context(settings, mongodb_uri)
    try:
        for keys in (context.card_keys, *context.tenants.values()):
            if not keys.records():
                keys.generate(now() // 1_000_000)
        await context.store.served_under(settings.base)
        await shipped.load(context, SERVER, allow_all, Registry(OPERATIONS))
    finally:
        await context.store.close()


async def complete_index(settings: Settings, mongodb_uri: str) -> None:
    """In the supervisor: after an upgrade index again what was stored before, beside the workers, until it is done."""
    while True:
        try:
            context = await open_context(settings, mongodb_uri)
            try:
                lacking = context.store.incomplete()
                if lacking:
                    log.warning("indexing %s resources again; until then some searches are refused", ", ".join(lacking))
                    async for _ in context.store.reindex(rest=_REST):
                        pass
                    left = context.store.incomplete()
                    log.warning("indexing ended; incomplete: %s", ", ".join(left) or "nothing")
            finally:
                await context.store.close()
        except FhirError as error:
            log.warning("indexing waits for the database: %s", error.issues[0].detail)
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


def create_app(settings: Settings, mongodb_uri: str) -> FastAPI:
    """The ASGI application of one worker process."""
    opened: list[Context] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = await open_context(settings, mongodb_uri)
        opened.append(context)
        app.state.context = context
        corrections = Corrections(context)
        corrections.start()
        runner = Runner(context, permitted=partial(permitted, settings))
        runner.start()
        try:
            yield
        finally:
            await runner.close()
            await corrections.close()
            opened.clear()
            await context.store.close()

    def context() -> Context:
        return opened[0]

    registry = Registry(OPERATIONS)
    app = FastAPI(title="FHIR server for vaccination", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    # Before the others: a polling address looks like that of a resource.
    app.router.routes.extend(job_routes(context))
    app.router.routes.extend(fhir_routes(context, registry))
    app.router.routes.extend(card_routes(context))
    app.router.routes.extend(issuer_routes(context))
    app.router.routes.extend(link_routes(context))
    app.router.routes.extend(health_routes(context))
    app.router.routes.extend(docs_routes(lambda: app.router.routes, registry, settings.origin))
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
        allow_headers=["*"],
        expose_headers=["ETag", "Last-Modified", "Location", "Content-Location", "X-Progress", "Retry-After"],
    )
    return app
