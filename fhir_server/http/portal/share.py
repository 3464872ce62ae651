"""Sharing: links to my record that I make, see the use of, and end.

https://hl7.org/fhir/uv/smart-health-cards-and-links/links-specification.html
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.http.portal.me import ROLE
from fhir_server.http.portal.parameters import first, parts
from fhir_server.http.portal.person import CHOSEN, People, name_of, people
from fhir_server.http.portal.questions import UNKNOWN
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.http.portal.typed import line
from fhir_server.languages import N_
from smart_health_cards.links import png

_DAYS: Mapping[str, tuple[int, str]] = {
    "1": (1, N_("For a day")),
    "7": (7, N_("For a week")),
    "30": (30, N_("For a month")),
    "365": (365, N_("For a year")),
}
"""How long a link may work, by what the form sends."""
_USUAL = "7"
_LONGEST = {"label": 80, "passcode": 40}
_PROBLEMS = {
    "label": N_("This is longer than 80 letters."),
    "passcode": N_("This is longer than 40 letters."),
}


def share_routes(portal: Portal) -> list[BaseRoute]:
    """`/me/share` (GET, POST) and `/me/share/end` (POST)."""

    async def share(request: Request, visitor: Visitor) -> Response:
        if request.method == "GET":
            return await _page(portal, request, visitor, await people(visitor, request), {"days": _USUAL})
        form = await portal.posted(request)
        who = await people(visitor, request, form.get(CHOSEN))
        typed = {
            "label": line(form.get("label", "")),
            "days": form.get("days", ""),
            "passcode": form.get("passcode", "").strip(),
        }
        wrong = {name: _PROBLEMS[name] for name, longest in _LONGEST.items() if len(typed[name]) > longest}
        if typed["days"] not in _DAYS:
            wrong["days"] = UNKNOWN
        if wrong:
            return await _page(portal, request, visitor, who, typed, problems=wrong, status=422)
        days, _ = _DAYS[typed["days"]]
        expires = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked: list[dict[str, Any]] = [{"name": "expires", "valueDateTime": expires}]
        asked += [{"name": name, "valueString": typed[name]} for name in _LONGEST if typed[name]]
        made = await visitor.visit.post(
            f"{who.reference}/$health-link-create", {"resourceType": "Parameters", "parameter": asked}
        )
        return await _page(portal, request, visitor, who, {"days": _USUAL}, str(first(parts(made), "link")))

    async def end(request: Request, visitor: Visitor) -> Response:
        form = await portal.posted(request)
        who = await people(visitor, request, form.get(CHOSEN))
        named = [{"name": "id", "valueString": form.get("link", "")}]
        await visitor.visit.post(
            f"{who.reference}/$health-link-revoke", {"resourceType": "Parameters", "parameter": named}
        )
        return RedirectResponse(f"/me/share?{CHOSEN}={who.id}", 303)

    return [
        Route("/me/share", portal.page(share, ROLE), methods=["GET", "POST"]),
        Route("/me/share/end", portal.page(end, ROLE), methods=["POST"]),
    ]


async def _page(
    portal: Portal,
    request: Request,
    visitor: Visitor,
    who: People,
    typed: Mapping[str, str],
    made: str = "",
    *,
    problems: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    told = parts(await visitor.visit.get(f"{who.reference}/$health-links"))
    zone = portal.site.settings.time_zone
    links = [
        {
            "id": first(link, "id"),
            "label": first(link, "label") or "",
            "made": languages.moment(first(link, "made") or "", visitor.language, zone),
            "expires": languages.moment(first(link, "expires") or "", visitor.language, zone),
            "uses": [
                (languages.moment(first(use, "at") or "", visitor.language, zone), first(use, "recipient"))
                for use in link.get("access", ())
            ],
        }
        for link in told.get("link", ())
        if first(link, "active")
    ]
    return portal.form(
        *(request, "share", status),
        told_once=bool(made),
        who=who,
        name=name_of(who.patient),
        made=made,
        picture=b64encode(png(made, scale=3)).decode() if made else "",
        links=links,
        days=_DAYS,
        typed={"label": "", "passcode": "", **typed},
        problems=problems or {},
    )
