"""Accounts: the pages on which a provider gives a one-time code, and a recipient sets a password with it.

https://pages.nist.gov/800-63-4/sp800-63b.html#accountrecovery
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.access import recovery
from fhir_server.access.sessions import Session
from fhir_server.context import Context
from fhir_server.http import choosing
from fhir_server.http.forms import posted_by_page, with_form
from fhir_server.http.pages import page
from fhir_server.http.sign_in import language_of, login_page, page_of, session_of

_GIVERS = frozenset({"provider", "administrator"})


def account_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """`/account/password` and `/account/recovery` (GET, POST)."""

    async def password(request: Request) -> Response:
        if request.method == "GET":
            return _password_page(context(), request)
        form = dict(await posted_by_page(context(), request))
        try:
            done = await recovery.redeem(
                context().authority, form.get("username", ""), form.get("code", ""), form.get("password", "")
            )
        except ValueError:
            return _password_page(context(), request, "password.short", 400)
        return _password_page(context(), request, "" if done else "password.wrong", 200 if done else 401, done=done)

    async def recover(request: Request) -> Response:
        form = dict(await posted_by_page(context(), request)) if request.method == "POST" else {}
        session = await session_of(context(), request)
        if session is None:
            return login_page(context(), request, (), None, "")
        if not session.user.roles & _GIVERS:
            return page("problem", language_of(request), 403, problem="not-allowed")
        return await _recover(context(), request, session, form)

    return [
        Route("/account/password", page_of(context, password), methods=["GET", "POST"]),
        Route("/account/recovery", page_of(context, recover), methods=["GET", "POST"]),
    ]


def _password_page(
    context: Context, request: Request, problem: str = "", status: int = 200, *, done: bool = False
) -> Response:
    language = language_of(request)
    return with_form(
        context,
        request,
        lambda proof: page(
            *("password", language, status),
            problem=problem,
            form_token=proof,
            origin=context.settings.origin,
            done=done,
        ),
    )


async def _recover(context: Context, request: Request, session: Session, form: dict[str, str]) -> Response:
    language, decision, chosen = language_of(request), form.get("decision"), form.get("patient", "")
    shown: dict[str, Any] = {"problem": "", "given": "", "login": "", "patients": []}
    if decision == "find":
        shown["patients"] = await choosing.named(context, session.user, language, form.get("find", ""))
    elif decision == "give" and await choosing.one(context, session.user, language, chosen):
        # Only recipients: who is staff gets a code from an administrator, on the command line.
        user = await context.authority.users.of_patient(chosen)
        if user is not None and user.enabled and user.roles == {"recipient"}:
            shown |= {"given": await recovery.give(context.authority, user), "login": user.login}
        else:
            shown["problem"] = "recovery.nobody"
    return with_form(
        context,
        request,
        lambda proof: page(
            *("recovery", language, 200),
            **shown,
            form_token=proof,
            origin=context.settings.origin,
            search=True,
            searched=decision == "find",
            find=form.get("find", ""),
            chosen=chosen,
        ),
    )
