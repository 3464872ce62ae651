"""The composition root: the only file that wires database, web framework and libraries together."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from fhir_server import guides
from fhir_server.access import card_directory, card_keys, own_app, policy, registration, secret
from fhir_server.access.authority import Authority, Lifetimes, Limits
from fhir_server.access.external import External
from fhir_server.access.issuer_keys import IssuerKeys
from fhir_server.access.key_sets import KeySets
from fhir_server.access.outbound import Outbound
from fhir_server.access.token_keys import TokenKeys
from fhir_server.access.tokens import Tokens
from fhir_server.caller import SERVER, Caller, Predicate, allow_all
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.guides import Guides
from fhir_server.http.accounts import account_routes
from fhir_server.http.card_issuers import issuer_routes
from fhir_server.http.cards import card_routes
from fhir_server.http.cross_origin import CrossOrigin
from fhir_server.http.docs import docs_routes
from fhir_server.http.front import Application, Direct
from fhir_server.http.hardening import Hardening
from fhir_server.http.health import health_routes
from fhir_server.http.jobs import job_routes
from fhir_server.http.links import link_routes
from fhir_server.http.oauth import oauth_routes
from fhir_server.http.portal.account import account_routes as my_account_routes
from fhir_server.http.portal.answers import answer_routes
from fhir_server.http.portal.api import Api
from fhir_server.http.portal.assets import Assets
from fhir_server.http.portal.clinic.routes import clinic_routes
from fhir_server.http.portal.dispute import dispute_routes
from fhir_server.http.portal.eligible import eligible_routes
from fhir_server.http.portal.elsewhere import no_page
from fhir_server.http.portal.home import home_routes
from fhir_server.http.portal.me import me_routes
from fhir_server.http.portal.proxies import proxy_routes
from fhir_server.http.portal.records import record_routes
from fhir_server.http.portal.register import register_routes
from fhir_server.http.portal.session import Portal
from fhir_server.http.portal.share import share_routes
from fhir_server.http.portal.site import Site
from fhir_server.http.portal.verify import verify_routes
from fhir_server.http.routes import fhir_routes
from fhir_server.http.sign_in import sign_in_routes
from fhir_server.http.smart_configuration import discovery_routes
from fhir_server.jobs.calling import Calling
from fhir_server.jobs.forgetting import forgetting
from fhir_server.jobs.reminders.daily import Daily
from fhir_server.jobs.runner import Runner
from fhir_server.jobs.upkeep import Upkeep
from fhir_server.operations import shipped
from fhir_server.operations.catalogue import OPERATIONS
from fhir_server.operations.health_cards.corrections import Corrections
from fhir_server.operations.registry import Registry
from fhir_server.settings import Settings
from fhir_server.store.store import Store
from terminology.errors import TerminologyError
from terminology.library import shipped as terminology

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
        # A start is the time to hear that it is broken.
        card_directory.load(settings.card_directory, settings.card_directory_key)
    store = await Store.open(
        mongodb_uri, database=settings.database, driver=settings.mongodb_driver, base=settings.base, clock=now
    )
    known = Guides(
        settings.data / guides.FOLDER, settings.us_core, settings.profiles_own, settings.profiles_others, _allowed
    )
    outbound = Outbound(frozenset(settings.outbound_hosts))
    external, authority = _authority(settings, store, link_secret, outbound)
    return Context(
        settings,
        store,
        now,
        keys,
        tenants,
        link_secret,
        authority.tokens,
        known,
        authority,
        external,
        IssuerKeys(outbound),
    )


def _authority(
    settings: Settings, store: Store, link_secret: bytes, outbound: Outbound
) -> tuple[External | None, Authority]:
    """The authorization server, and the OpenID provider elsewhere that takes its place, if one is named."""
    key_sets = KeySets(outbound)
    external = None
    if settings.openid_issuer:
        audience = settings.openid_audience or settings.base
        external = External(settings.openid_issuer, audience, outbound, key_sets, store.clients, store.users, now)
    return external, Authority(
        settings.base,
        store.clients,
        store.users,
        store.grants,
        store.passing,
        Tokens(store.grants, now, settings.base, None if external is None else external.caller),
        TokenKeys(settings.data / "keys" / "tokens"),
        key_sets,
        now,
        link_secret,
        Lifetimes(settings.access_token_seconds, settings.refresh_token_seconds, settings.session_seconds),
        Limits(
            settings.wrong_logins,
            wrong_logins_overall=settings.wrong_logins_overall,
            token_requests=settings.token_requests,
            registrations=settings.registrations,
            eligibility_checks=settings.eligibility_checks,
        ),
    )


def _allowed(value_set: str, system: str | None, code: str) -> bool | None:
    """Whether a binding admits a code, as far as the terminology can tell; None leaves it to the guides."""
    try:
        return terminology().allowed(value_set, system, code)
    except TerminologyError:
        return None


def permitted(settings: Settings, caller: Caller) -> Predicate:
    """What exists for somebody whose work is done later: what they may see by then."""
    return allow_all if settings.dev or caller == SERVER else policy.access(caller, now(), settings.small_cell)


async def prepare(settings: Settings, mongodb_uri: str) -> bool:
    """First boot, before any worker: indexes, a card key, and the resources that come with the product.

    Whether what was stored before an upgrade is to be indexed again (`complete_index`).
    """
    context = await open_context(settings, mongodb_uri)
    try:
        for keys in (context.card_keys, *context.tenants.values()):
            if not keys.records():
                keys.generate(now() // 1_000_000)
        await context.store.served_under(settings.base)
        if not settings.dev:
            await context.store.clients.put(own_app.registration(settings.origin))
        if settings.clients_file is not None:
            await registration.apply(context.store.clients, registration.read(settings.clients_file))
        if not settings.dev and context.external is None:
            context.authority.token_keys.ensure(now() // 1_000_000)
        await shipped.load(context, SERVER, allow_all, Registry(OPERATIONS))
        return bool(context.store.incomplete())
    finally:
        await context.store.close()


async def complete_index(settings: Settings, mongodb_uri: str) -> None:
    """After an upgrade index again what was stored before, beside the workers, until it is done."""
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

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = await open_context(settings, mongodb_uri)
        app.state.context = context
        corrections = Corrections(context)
        corrections.start()
        runner = Runner(context, permitted=partial(permitted, settings))
        runner.start()
        upkeep = Upkeep(context)
        upkeep.start()
        forgets = forgetting(context)
        forgets.start()
        calling = Calling(context)
        calling.start()
        reminders = Daily(context)
        reminders.start()
        try:
            yield
        finally:
            await reminders.close()
            await calling.close()
            await forgets.close()
            await upkeep.close()
            await runner.close()
            await corrections.close()
            await context.store.close()

    def context() -> Context:
        found: Context = app.state.context
        return found

    registry = Registry(OPERATIONS)
    app = Application(title="FHIR server for vaccination", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    site = Site(settings, Assets(settings.portal_color))
    app.add_exception_handler(404, no_page(site))
    # Before the others: their addresses look like those of resources.
    if not settings.dev:
        app.router.routes.extend(discovery_routes(context))
        if not settings.openid_issuer:
            app.router.routes.extend(oauth_routes(context))
            app.router.routes.extend(sign_in_routes(context, site))
            app.router.routes.extend(account_routes(context, site))
    app.router.routes.extend(job_routes(context))
    fhir = fhir_routes(context, registry)
    app.router.routes.extend(fhir)
    app.router.routes.extend(card_routes(context, site))
    app.router.routes.extend(issuer_routes(context))
    app.router.routes.extend(link_routes(context))
    app.router.routes.extend(health_routes(context))
    portal = Portal(context, site, Api(app, settings.base))
    app.router.routes.extend(
        [*site.assets.routes(), *home_routes(portal), *eligible_routes(portal), *verify_routes(context, site)]
    )
    if not settings.dev and not settings.openid_issuer:
        app.router.routes.extend(
            [*portal.routes(), *me_routes(portal), *answer_routes(portal), *register_routes(portal)]
        )
        app.router.routes.extend(
            [
                *my_account_routes(portal),
                *record_routes(portal),
                *share_routes(portal),
                *dispute_routes(portal),
                *proxy_routes(portal),
            ]
        )
        app.router.routes.extend(clinic_routes(portal))
    app.router.routes.extend(docs_routes(lambda: app.router.routes, registry, settings.origin))
    origins = None if settings.dev else partial(_origins, context)
    app.add_middleware(CrossOrigin, origins=origins)
    app.add_middleware(Hardening, origin=settings.origin)
    app.front = Hardening(CrossOrigin(Direct(fhir), origins), settings.origin)
    return app


async def _origins(context: Callable[[], Context]) -> frozenset[str]:
    """The web origins of the clients that are registered and enabled now; none while that cannot be known."""
    try:
        registered = await context().store.clients.all()
    except FhirError:
        return frozenset()
    return frozenset(origin for client in registered if client.enabled for origin in client.origins)
