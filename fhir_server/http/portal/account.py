"""My account: where I am reached, in which language, and my password.

https://hl7.org/fhir/R4/datatypes.html#ContactPoint
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.access import accounts, passwords
from fhir_server.domain.demographics import email, phone
from fhir_server.fhir.outcome import FhirError
from fhir_server.http import cookies
from fhir_server.http.portal.me import ROLE
from fhir_server.http.portal.person import CHOSEN, People, name_of, people
from fhir_server.http.portal.questions import UNKNOWN
from fhir_server.http.portal.session import TOKEN, Portal, Visitor
from fhir_server.languages import N_

_POINTS = ("email", "phone")
_PROBLEMS: Mapping[str, str] = {
    "email": N_("This is no e-mail address. Leave it empty if you have none."),
    "phone": N_("This is no telephone number. Leave it empty if you have none."),
}
_PASSWORD_WRONG = N_("This is not your password.")
_PASSWORD_SHORT = N_("The password needs 10 to 256 characters, and is not the name you sign in with.")


def account_routes(portal: Portal) -> list[BaseRoute]:
    """`/me/contact` and `/me/password` (GET, POST)."""

    async def contact(request: Request, visitor: Visitor) -> Response:
        if request.method == "GET":
            who = await people(visitor, request)
            return _contact(portal, request, who, _known(who.patient), {})
        form = await portal.posted(request)
        who = await people(visitor, request, form.get(CHOSEN))
        typed = {name: form.get(name, "").strip() for name in (*_POINTS, "language")}
        looked_at = {"email": email, "phone": phone}
        wrong = {name: _PROBLEMS[name] for name in _POINTS if typed[name] and looked_at[name](typed[name]) is None}
        if typed["language"] not in languages.languages():
            wrong["language"] = UNKNOWN
        if wrong:
            return _contact(portal, request, who, typed, wrong, 422)
        await visitor.visit.post(f"{who.reference}/$update-contact", _parameters(typed))
        return RedirectResponse(f"/me?{CHOSEN}={who.id}", 303)

    async def password(request: Request, visitor: Visitor) -> Response:
        def page(problems: Mapping[str, str], status: int = 200, *, changed: bool = False) -> Response:
            return portal.form(request, "my-password", status, problems=problems, changed=changed, login=login)

        user = await portal.context().authority.users.by_subject(visitor.caller.subject)
        login = "" if user is None else user.login
        if request.method == "GET":
            return page({})
        form = await portal.posted(request)
        current, fresh = form.get("current", ""), form.get("password", "")
        if not passwords.SHORTEST <= len(fresh) <= passwords.LONGEST:
            return page({"password": _PASSWORD_SHORT}, 422)
        try:
            done = await accounts.change_password(portal.context().authority, visitor.caller.subject, current, fresh)
        except FhirError as error:
            if error.status != 429:
                raise
            return portal.site.page(request, "too-many", 429)
        if not done:
            return page({"current": _PASSWORD_WRONG}, 422)
        response = page({}, changed=True)
        for name in (TOKEN, cookies.SESSION):
            cookies.take(response, name, portal.site.settings.origin)
        return response

    return [
        Route("/me/contact", portal.page(contact, ROLE), methods=["GET", "POST"]),
        Route("/me/password", portal.page(password, ROLE), methods=["GET", "POST"]),
    ]


def _contact(
    portal: Portal,
    request: Request,
    who: People,
    typed: Mapping[str, str],
    problems: Mapping[str, str],
    status: int = 200,
) -> Response:
    spoken = [(each, languages.own_name(each)) for each in languages.languages()]
    return portal.form(
        request, "contact", status, who=who, name=name_of(who.patient), typed=typed, problems=problems, spoken=spoken
    )


def _known(patient: Mapping[str, Any]) -> dict[str, str]:
    """What the record says now."""
    known = dict.fromkeys(_POINTS, "")
    for point in patient.get("telecom", ()):
        if point.get("system") in known and point.get("use") != "old" and not known[point["system"]]:
            known[point["system"]] = str(point.get("value", ""))
    spoken = sorted(patient.get("communication", ()), key=lambda each: each.get("preferred") is not True)
    tags = [coding.get("code", "") for each in spoken for coding in each.get("language", {}).get("coding", ())]
    found = [tag.split("-")[0].lower() for tag in tags]
    known["language"] = next((tag for tag in found if tag in languages.languages()), languages.SOURCE)
    return known


def _parameters(typed: Mapping[str, str]) -> dict[str, Any]:
    said: list[dict[str, Any]] = [{"name": "language", "valueCode": typed["language"]}]
    for name in _POINTS:
        if typed[name]:
            said.append({"name": name, "valueString": typed[name]})
        else:
            said.append({"name": "remove", "valueCode": name})
    return {"resourceType": "Parameters", "parameter": said}
