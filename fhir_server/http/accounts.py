"""Accounts: the pages on which a provider gives a one-time code, and a recipient sets a password with it.

https://pages.nist.gov/800-63-4/sp800-63b.html#accountrecovery
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.access import own_app, recovery, users
from fhir_server.access.sessions import Session
from fhir_server.context import Context
from fhir_server.http import choosing, witness
from fhir_server.http.forms import posted_by_page, with_form
from fhir_server.http.portal.site import Site
from fhir_server.http.sign_in import login_page, page_of, problem_page, session_of
from fhir_server.languages import N_

_SHORT = N_("A password has 10 to 256 characters.")
_WRONG = N_("The user name or the code is wrong, or the code is over.")
_NOBODY = N_("This person has no account here.")
_NO_NAME = N_("Type a name first.")
_NOT_CHOSEN = N_("Please choose whose records.")
_GIVERS = frozenset({"provider", "administrator"})


def account_routes(context: Callable[[], Context], site: Site) -> list[BaseRoute]:
    """`/account/password` and `/account/recovery` (GET, POST)."""

    async def password(request: Request) -> Response:
        if request.method == "GET":
            return _password_page(context(), site, request, {})
        form = dict(await posted_by_page(context(), request))
        try:
            done = await recovery.redeem(
                context().authority, form.get("username", ""), form.get("code", ""), form.get("password", "")
            )
        except ValueError:
            return _password_page(context(), site, request, form, _SHORT, 400)
        if not done:
            return _password_page(context(), site, request, form, _WRONG, 401)
        return _password_page(context(), site, request, {}, done=True)

    async def recover(request: Request) -> Response:
        form = dict(await posted_by_page(context(), request)) if request.method == "POST" else {}
        session = await session_of(context(), request)
        if session is None:
            return login_page(context(), site, request, (), None, "")
        if not session.user.roles & _GIVERS:
            return problem_page(site, request, 403, "not-allowed")
        return await _recover(context(), site, request, session, form)

    return [
        Route("/account/password", page_of(site, password), methods=["GET", "POST"]),
        Route("/account/recovery", page_of(site, recover), methods=["GET", "POST"]),
    ]


def _password_page(
    context: Context,
    site: Site,
    request: Request,
    typed: Mapping[str, str],
    problem: str = "",
    status: int = 200,
    *,
    done: bool = False,
) -> Response:
    return with_form(
        context,
        request,
        lambda proof: site.page(
            *(request, "set-password", status),
            problem=problem,
            username=typed.get("username", ""),
            code=typed.get("code", ""),
            form_token=proof,
            origin=context.settings.origin,
            done=done,
        ),
    )


async def _recover(context: Context, site: Site, request: Request, session: Session, form: dict[str, str]) -> Response:
    language, decision, chosen = site.language(request), form.get("decision"), form.get("patient", "")
    caller = users.caller(session.user, own_app.ID, (), context.clock())
    shown: dict[str, Any] = {"problem": "", "given": "", "login": "", "patients": []}
    if decision and not chosen:
        find = form.get("find", "")
        shown["patients"] = await choosing.named(context, session.user, language, find)
        shown["problem"] = _NO_NAME if not find.strip() else _NOT_CHOSEN if decision == "give" else ""
    elif decision == "give":
        seen = await choosing.one(context, session.user, language, chosen)
        # Only recipients: who is staff gets a code from an administrator, on the command line.
        user = await context.authority.users.of_patient(chosen) if seen else None
        if user is not None and user.enabled and user.roles == {"recipient"}:
            await witness.shown(context, caller, [chosen], "POST /account/recovery", "operation")
            shown |= {"given": await recovery.give(context.authority, user), "login": user.login}
        else:
            shown["problem"] = _NOBODY
            shown["patients"] = await choosing.named(context, session.user, language, form.get("find", ""))
    if decision == "find" or shown["patients"]:
        typed = f"POST /account/recovery?{urlencode({'find': form.get('find', '')})}"
        await witness.shown(context, caller, (id for id, _ in shown["patients"]), typed, "search-type")
    return with_form(
        context,
        request,
        lambda proof: site.page(
            *(request, "recovery", 422 if shown["problem"] else 200),
            told_once=bool(shown["given"]),
            **shown,
            form_token=proof,
            origin=context.settings.origin,
            search=True,
            searched=decision == "find" and not shown["problem"],
            find=form.get("find", ""),
            chosen=chosen,
        ),
    )
