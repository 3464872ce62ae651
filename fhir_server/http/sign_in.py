"""Sign-in: the pages of an app's launch: who is it, whose records, and may the app use them.

https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-authorization-code

Every page holds the app's whole request in a hidden field, and every step looks at it anew: nothing is kept between
them but who has logged in. Fields: `username`, `password`, `code`; `find`, `patient`, `scope`, `decision`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.access import authorization, logins, own_app, sessions, users
from fhir_server.access.authorization import Asked, UnknownAppError
from fhir_server.access.sessions import Session
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.pairs import of_bytes
from fhir_server.http import choosing, cookies, witness, wording
from fhir_server.http.forms import ForeignFormError, exchange_of, posted, posted_by_page, with_form
from fhir_server.http.portal.site import LANGUAGE, Site
from fhir_server.languages import N_

Pairs = Sequence[tuple[str, str]]
_ONCE = ("prompt", "max_age")
"""Asks for a login now, which has happened when it is asked again."""
_LOGIN = frozenset({"login", "select_account"})
"""Prompts that ask for a login, also of somebody who has logged in."""
_LOCALES = "ui_locales"

PROBLEMS: Mapping[str, str] = {
    "form-refused": N_("This form is too old, or was not made for this browser. Go back to the app and begin again."),
    "unknown-app": N_("The app that sent you here is not registered."),
    "unknown-redirect": N_("The app wants to be answered at an address that is not registered for it."),
    "not-allowed": N_("Only providers and administrators can do this."),
    "too-many-logins": N_("Too many wrong logins. Please wait 15 minutes."),
    "unavailable": N_("The server cannot do this right now. Please try again."),
    "malformed": N_("The request cannot be understood."),
}
"""What may stand on a page of its own. To be translated."""
_WRONG = N_("The user name, the password or the code is wrong.")
_OTHER = N_("The app was opened for another user. Please sign in as that user.")
_NO_PATIENT = N_("Please choose whose records.")


def sign_in_routes(context: Callable[[], Context], site: Site) -> list[BaseRoute]:
    """`/oauth/authorize` (GET, POST), `/oauth/login`, `/oauth/consent`, `/oauth/logout`."""

    async def authorize(request: Request) -> Response:
        exchange = exchange_of(context(), request)
        pairs = await posted(exchange) if request.method == "POST" else exchange.pairs
        return await _step(context(), site, request, pairs)

    async def login(request: Request) -> Response:
        form = dict(await posted_by_page(context(), request))
        return await _login(context(), site, request, of_bytes(form.get("request", "").encode()), form)

    async def consent(request: Request) -> Response:
        pairs = await posted_by_page(context(), request)
        asked = of_bytes(dict(pairs).get("request", "").encode())
        return await _step(context(), site, request, asked, pairs)

    async def logout(request: Request) -> Response:
        form = dict(await posted_by_page(context(), request))
        origin = context().settings.origin
        await sessions.end(context().authority, cookies.read(request.cookies, cookies.SESSION, origin))
        response = _again(origin, of_bytes(form.get("request", "").encode()))
        cookies.take(response, cookies.SESSION, origin)
        return response

    return [
        Route("/oauth/authorize", page_of(site, authorize), methods=["GET", "POST"]),
        Route("/oauth/login", page_of(site, login), methods=["POST"]),
        Route("/oauth/consent", page_of(site, consent), methods=["POST"]),
        Route("/oauth/logout", page_of(site, logout), methods=["POST"]),
    ]


def page_of(site: Site, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose refusals are pages, too."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except ForeignFormError:
            return problem_page(site, request, 403, "form-refused")
        except UnknownAppError as error:
            return problem_page(site, request, 400, error.key)
        except OAuth2Error as error:
            return RedirectResponse(authorization.address_of(error), 302, _NO_STORE)
        except FhirError as error:
            problem = {429: "too-many-logins", 503: "unavailable"}.get(error.status, "malformed")
            response = problem_page(site, request, error.status, problem)
            response.headers.update(error.headers)
            return response

    return handle


_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache", "referrer-policy": "no-referrer"}


def problem_page(site: Site, request: Request, status: int, problem: str) -> Response:
    """A page that says what is wrong: one of PROBLEMS."""
    return site.page(
        *(request, "problem", status),
        language=language_of(site, request),
        elsewhere=lambda language: f"/?{LANGUAGE}={language}",
        problem=PROBLEMS[problem],
    )


async def session_of(context: Context, request: Request) -> Session | None:
    """Who has logged in with this browser."""
    cookie = cookies.read(request.cookies, cookies.SESSION, context.settings.origin)
    return await sessions.find(context.authority, cookie)


async def _step(context: Context, site: Site, request: Request, pairs: Pairs, answer: Pairs | None = None) -> Response:
    """The page that comes next, or the way back to the app. `answer` is what the consent page has sent."""
    asked = await authorization.asked(context.authority, pairs)
    session = await session_of(context, request)
    problem = _login_needed(context, asked, session, dict(pairs))
    if session is None or problem is not None:
        if "none" in asked.prompts:
            raise authorization.to_app(asked, OAuth2Error("The user has to log in.", error="login_required"))
        return login_page(context, site, request, pairs, asked, problem or "")
    if "none" in asked.prompts:
        raise authorization.to_app(asked, OAuth2Error("The user has to agree.", error="consent_required"))
    if asked.client.id == own_app.ID:
        granted = authorization.for_user(asked, session.user, context.clock())
        return RedirectResponse(
            await authorization.grant(context.authority, asked, session, granted, ""), 302, _NO_STORE
        )
    return await _consent(context, site, request, pairs, asked, session, answer)


def _login_needed(context: Context, asked: Asked, session: Session | None, given: dict[str, str]) -> str | None:
    """Why the user has to log in, as a sentence to be translated (or none); None where they need not."""
    if session is None or asked.prompts & _LOGIN:
        return ""
    age = given.get("max_age", "")
    if age.isascii() and age.isdigit() and context.authority.now() - session.authenticated > int(age):
        return ""
    user = (asked.context or {}).get("user")
    return _OTHER if user and user not in (session.user.subject, session.user.login) else None


def login_page(
    context: Context,
    site: Site,
    request: Request,
    pairs: Pairs,
    asked: Asked | None,
    problem: str,
    status: int = 200,
    typed: str = "",
) -> Response:
    """The page to log in, on the way to what `pairs` ask for."""
    return with_form(
        context,
        request,
        lambda proof: site.page(
            *(request, "login", status),
            language=language_of(site, request, pairs),
            sends_to=asked.redirect_uri if asked is not None else "",
            elsewhere=partial(_elsewhere, pairs),
            app=asked.client.name if asked is not None and asked.client.id != own_app.ID else "",
            username=typed,
            problem=problem,
            form_token=proof,
            origin=context.settings.origin,
            request=urlencode(pairs),
        ),
    )


async def _login(context: Context, site: Site, request: Request, pairs: Pairs, form: dict[str, str]) -> Response:
    asked = await authorization.asked(context.authority, pairs) if pairs else None
    given = logins.Given(form.get("username", ""), form.get("password", ""), form.get("code", ""))
    user = await logins.login(context.authority, given)
    if user is None:
        return login_page(context, site, request, pairs, asked, _WRONG, 401, given.login)
    origin = context.settings.origin
    # Whoever knew the cookies from before the login knows neither afterwards.
    response = with_form(context, request, lambda proof: _again(origin, pairs), fresh=True)
    cookie = await sessions.begin(context.authority, user)
    cookies.give(response, cookies.SESSION, cookie, origin, context.authority.lifetimes.session)
    return response


def _again(origin: str, pairs: Pairs) -> Response:
    """Back to the beginning, without asking for a login once more; to the account page where no app has asked."""
    left = [(name, value) for name, value in pairs if name not in _ONCE]
    place = f"/oauth/authorize?{urlencode(left)}" if left else "/account/recovery"
    return RedirectResponse(origin + place, 303, _NO_STORE)


async def _consent(
    context: Context, site: Site, request: Request, pairs: Pairs, asked: Asked, session: Session, answer: Pairs | None
) -> Response:
    user, language, given = session.user, language_of(site, request, pairs), dict(answer or ())
    decision = given.get("decision")
    if decision == "deny":
        return RedirectResponse(authorization.refused(asked), 302, _NO_STORE)
    granted = authorization.for_user(asked, user, context.clock())
    ticked = [value for name, value in answer or () if name == "scope"]
    patient = (asked.context or {}).get("patient", "")
    searches = not patient and asked.needs_patient and "provider" in user.roles
    if patient:
        patients = await choosing.one(context, user, language, patient)
    elif decision == "find" and searches:
        patients = await choosing.named(context, user, language, given.get("find", ""))
    elif decision == "allow" and given.get("patient"):
        patients = await choosing.one(context, user, language, given["patient"])
    else:
        patients = await choosing.own(context, user, language) if asked.needs_patient else []
    chosen = patient or given.get("patient", "") or (patients[0][0] if len(patients) == 1 else "")
    seen = chosen in {id for id, _ in patients}
    lacking = asked.needs_patient and not seen and any(_is_on_patient(scope) for scope in granted)
    if decision == "allow" and not lacking:
        kept = [*ticked, *(scope for scope in granted if wording.is_implied(scope))] if ticked else []
        address = await authorization.grant(context.authority, asked, session, kept, chosen if seen else "")
        return RedirectResponse(address, 302, _NO_STORE)
    if patients or decision == "find":
        typed = f"POST /oauth/consent?{urlencode({'find': given.get('find', '')})}"
        caller = users.caller(user, asked.client.id, (), context.clock())
        await witness.shown(context, caller, (id for id, _ in patients), typed, "search-type")
    return with_form(
        context,
        request,
        lambda proof: site.page(
            *(request, "consent"),
            language=language,
            sends_to=asked.redirect_uri,
            elsewhere=partial(_elsewhere, pairs),
            app=asked.client.name,
            where=urlsplit(asked.redirect_uri).netloc or asked.client.name,
            problem=_NO_PATIENT if decision == "allow" else "",
            form_token=proof,
            origin=context.settings.origin,
            request=urlencode(pairs),
            search=searches,
            searched=decision == "find",
            find=given.get("find", ""),
            patients=patients,
            chosen=chosen,
            scopes=[
                (scope, wording.of(scope, language), answer is None or scope in ticked)
                for scope in granted
                if not wording.is_implied(scope)
            ],
        ),
    )


def _is_on_patient(scope: str) -> bool:
    return scope.startswith("patient/") or scope == "launch/patient"


def language_of(site: Site, request: Request, pairs: Pairs = ()) -> str:
    """As the reader has just chosen, else as the app says (`ui_locales`), else as on all pages."""
    asked = {**request.query_params, **dict(pairs)}
    for tag in (asked.get(LANGUAGE, ""), *asked.get(_LOCALES, "").split()):
        language = tag.lower().partition("-")[0]
        if language in languages.languages():
            return language
    return site.language(request)


def _elsewhere(pairs: Pairs, language: str) -> str:
    """The beginning of what `pairs` ask for, in another language; the account page where no app has asked."""
    kept = [pair for pair in pairs if pair[0] not in (LANGUAGE, _LOCALES)]
    place = "/oauth/authorize" if kept else "/account/recovery"
    return f"{place}?{urlencode([*kept, (LANGUAGE, language)])}"
