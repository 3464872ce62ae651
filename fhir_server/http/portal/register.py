"""Register: by oneself, or with an invitation; the account, and on to the questions.

https://www.w3.org/TR/WCAG22/#accessible-authentication-minimum

Nothing on these pages tells whether somebody is known: a wrong code, an unknown one and one that is used up are told in
the same words, and who registers is registered.
"""

import secrets
from collections.abc import Mapping
from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.access import accounts, passwords, sessions
from fhir_server.domain.demographics import email, phone
from fhir_server.http import cookies
from fhir_server.http.forms import with_form
from fhir_server.http.portal.questions import IN_FUTURE, LONGEST, NO_DATE, NOT_GIVEN, TOO_LONG, is_date
from fhir_server.http.portal.session import TOKEN, Portal
from fhir_server.http.portal.typed import line
from fhir_server.languages import N_
from fhir_server.operations import enrolment
from fhir_server.operations.enrolment import Person
from fhir_server.store.accounts.users import User

OPEN, INVITED = "/register", "/register/invitation"

_FIELDS: Mapping[str, tuple[str, ...]] = {
    OPEN: ("given", "family", "birth-date", "email", "phone", "login"),
    INVITED: ("code", "birth-date", "login"),
}
_NEEDED = frozenset({"code", "given", "family", "birth-date", "login"})
_OLDEST = 1900

_WRONG_CODE = N_("This code and date of birth do not go together, or the code was used. Ask for a new invitation.")
_PROBLEMS: Mapping[str, str] = {
    "email": N_("This is no e-mail address. Leave it empty if you have none."),
    "phone": N_("This is no telephone number. Leave it empty if you have none."),
    "login": N_("Use 2 to 40 letters without accents, digits, and . _ - only."),
    "password": N_("The password needs 10 to 256 characters, and is not the name you sign in with."),
}


def register_routes(portal: Portal) -> list[BaseRoute]:
    """`/register` and `/register/invitation` (GET, POST)."""

    async def register(request: Request) -> Response:
        if request.method == "GET":
            return _page(portal, request, {}, {})
        form = await portal.posted(request)
        typed = {name: line(form.get(name, "")) for name in _FIELDS[request.url.path]}
        password = form.get("password", "")
        problems = _problems(portal, typed, password)
        if problems:
            return _page(portal, request, typed, problems, 422)
        authority = portal.context().authority
        await accounts.require_slow(authority, request.client.host if request.client is not None else "")
        async with accounts.once(authority, form.get("once", "")) as first:
            if first:
                user = await _opened(portal, request, typed, password)
                await accounts.remember(authority, form.get("once", ""), user)
        if not first:
            # A button that was pressed twice: the browser shows what the second press is answered.
            user = await accounts.opened_before(authority, form.get("once", ""), password)
        if user is not None:
            return await _done(portal, request, user)
        if "code" in typed:
            return _page(portal, request, typed, {"code": _WRONG_CODE}, 422)
        return portal.site.page(request, "register-again")

    handle = portal.anyone(register)
    return [Route(OPEN, handle, methods=["GET", "POST"]), Route(INVITED, handle, methods=["GET", "POST"])]


async def _opened(portal: Portal, request: Request, typed: Mapping[str, str], password: str) -> User | None:
    context = portal.context()
    if request.url.path == INVITED:
        return await enrolment.redeem(context, typed["login"], password, typed["code"], typed["birth-date"])
    person = Person(
        *(typed["given"], typed["family"], typed["birth-date"]),
        typed["email"],
        typed["phone"],
        portal.site.language(request),
    )
    return await enrolment.register(context, typed["login"], password, person)


def _problems(portal: Portal, typed: Mapping[str, str], password: str) -> dict[str, str]:
    found = {name: NOT_GIVEN for name, value in typed.items() if name in _NEEDED and not value}
    born = typed["birth-date"]
    if born and not (is_date(born) and date(_OLDEST, 1, 1) <= date.fromisoformat(born)):
        found["birth-date"] = NO_DATE
    elif born and date.fromisoformat(born) > portal.context().today:
        found["birth-date"] = IN_FUTURE
    if typed.get("email") and email(typed["email"]) is None:
        found["email"] = _PROBLEMS["email"]
    if typed.get("phone") and phone(typed["phone"]) is None:
        found["phone"] = _PROBLEMS["phone"]
    if typed["login"]:
        try:
            accounts.proposed(typed["login"], "unknown")
        except ValueError:
            found["login"] = _PROBLEMS["login"]
    right = passwords.SHORTEST <= len(password) <= passwords.LONGEST
    if not right or password.casefold() == typed["login"].casefold():
        found["password"] = _PROBLEMS["password"]
    found |= {name: TOO_LONG for name, value in typed.items() if len(value) > LONGEST}
    names = (*typed, "password")
    return {name: found[name] for name in names if name in found}


def _page(
    portal: Portal, request: Request, typed: Mapping[str, str], problems: Mapping[str, str], status: int = 200
) -> Response:
    path = request.url.path
    return portal.form(
        request,
        "register",
        status,
        invited=path == INVITED,
        # No account is opened twice by a button that was pressed twice.
        once=secrets.token_urlsafe(16),
        typed={name: typed.get(name, "") for name in _FIELDS[path]},
        problems=problems,
    )


async def _done(portal: Portal, request: Request, user: User) -> Response:
    """They are signed in, and whoever was with this browser before is not."""
    authority, origin = portal.context().authority, portal.site.settings.origin
    response = with_form(
        portal.context(),
        request,
        lambda _: portal.site.page(request, "registered", told_once=True, login=user.login, next="/me/answers"),
        fresh=True,
    )
    cookies.take(response, TOKEN, origin)
    cookie = await sessions.begin(authority, user)
    cookies.give(response, cookies.SESSION, cookie, origin, authority.lifetimes.session)
    return response
