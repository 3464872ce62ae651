"""Proxies: for whom I act: children until they are 18, registered here, or opened with a code from a vaccination site.

https://hl7.org/fhir/R4/relatedperson.html

Registering a child makes a new record, always; one that is there already is opened only by a code that was handed over
by those who keep it, who have seen the papers (decision 33).
"""

import secrets
from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.access import accounts, users
from fhir_server.fhir.outcome import FhirError
from fhir_server.http.portal.me import ROLE
from fhir_server.http.portal.person import CHOSEN, day_of, name_of, those_of
from fhir_server.http.portal.questions import IN_FUTURE, LONGEST, NO_DATE, NOT_GIVEN, TOO_LONG, is_date
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.http.portal.typed import line
from fhir_server.languages import N_
from fhir_server.operations import enrolment
from fhir_server.operations.enrolment import Person
from fhir_server.store.accounts.users import User

ADDRESS = "/me/people"
_FIELDS: Mapping[str, tuple[str, ...]] = {"child": ("given", "family", "birth-date"), "code": ("code", "born")}
"""What the forms ask, by their ids."""
_DAYS = frozenset({"birth-date", "born"})
_MOST = 20
"""People that one account may act for."""
_WRONG_CODE = N_("This code and date of birth do not go together, or the code was used. Ask for a new one.")
_ADULT = N_("Only children under 18 can be registered here. Adults register themselves.")
_TOO_MANY = N_("You act for 20 people already. A vaccination site can help you further.")


def proxy_routes(portal: Portal) -> list[BaseRoute]:
    """`/me/people` (GET, POST)."""

    async def shown(request: Request, visitor: Visitor) -> Response:
        if request.method == "GET":
            return await page(request, visitor, {}, {})
        form = await portal.posted(request)
        authority = portal.context().authority
        user = await authority.users.by_subject(visitor.caller.subject)
        if user is None or form.get("decision") not in ("child", "code", "end"):
            return RedirectResponse(ADDRESS, 303)
        if form["decision"] == "end":
            return await end(user, form.get(CHOSEN, ""))
        typed = {name: line(form.get(name, "")) for name in _FIELDS[form["decision"]]}
        problems = _problems(typed, portal.context().today)
        if not problems and len(user.proxy_for) >= _MOST:
            problems = dict.fromkeys(tuple(typed)[:1], _TOO_MANY)
        if problems:
            return await page(request, visitor, typed, problems, 422)
        try:
            await accounts.require_slow(authority, request.client.host if request.client is not None else "")
        except FhirError as error:
            if error.status != 429:
                raise
            return portal.site.page(request, "too-many", 429)
        if form["decision"] == "child":
            child = Person(typed["given"], typed["family"], typed["birth-date"], "", "", visitor.language)
            if users.adult_on(date.fromisoformat(child.born)) <= portal.context().clock():
                return await page(request, visitor, typed, {"birth-date": _ADULT}, 422)
            async with accounts.once(authority, form.get("once", "")) as first:
                id = await enrolment.register_child(portal.context(), user, child) if first else ""
            return _anew(id)
        opens = await enrolment.act_for(portal.context(), user, typed["code"], typed["born"])
        if opens is None:
            return await page(request, visitor, typed, {"code": _WRONG_CODE}, 422)
        return _anew(opens)

    async def end(user: User, id: str) -> Response:
        authority = portal.context().authority
        left = tuple(each for each in user.proxy_for if each[0] != id)
        if len(left) == len(user.proxy_for) or not (left or user.patient):
            return RedirectResponse(ADDRESS, 303)
        await authority.users.set_proxies(user.login, left)
        # Whatever app was granted the child's record with the rest has to ask anew.
        await authority.grants.revoke_of_subject(user.subject)
        return _anew("")

    async def page(
        request: Request,
        visitor: Visitor,
        typed: Mapping[str, str],
        problems: Mapping[str, str],
        status: int = 200,
    ) -> Response:
        known, proxies = await those_of(visitor), dict(visitor.caller.proxies)
        people = [(id, name_of(known[id]), day_of(proxies[id])) for id in known if id in proxies]
        fields = {name: typed.get(name, "") for names in _FIELDS.values() for name in names}
        return portal.form(
            request,
            "people",
            status,
            people=people,
            # Whoever is nobody else would lose the account with the last one.
            may_end=len(people) > 1 or bool(visitor.caller.patients - proxies.keys()),
            once=secrets.token_urlsafe(16),
            typed=fields,
            problems=problems,
        )

    return [Route(ADDRESS, portal.page(shown, ROLE), methods=["GET", "POST"])]


def _problems(typed: Mapping[str, str], today: date) -> dict[str, str]:
    found = {name: NOT_GIVEN for name, value in typed.items() if not value}
    for name in _DAYS & set(typed):
        if typed[name] and not is_date(typed[name]):
            found[name] = NO_DATE
        elif typed[name] and date.fromisoformat(typed[name]) > today:
            found[name] = IN_FUTURE
    found |= {name: TOO_LONG for name, value in typed.items() if len(value) > LONGEST}
    return {name: found[name] for name in typed if name in found}


def _anew(id: str) -> Response:
    """Through the sign-in, which gives a token for those the visitor acts for now."""
    goal = f"/me?{CHOSEN}={id}" if id else ADDRESS
    return RedirectResponse("/portal/login?" + urlencode({"next": goal}), 303)
