"""My data: who looked at my record, and a copy of all of it to take away.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.access import own_app
from fhir_server.fhir import json
from fhir_server.http.portal.me import ROLE
from fhir_server.http.portal.person import name_of, people
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.http.portal.site import headers
from fhir_server.languages import N_

_LISTED = 50
_PAGE, _OWN = "_page", "own"
_ACTIONS: Mapping[str, str] = {
    "R": N_("looked at it"),
    "E": N_("looked for something in it"),
    "C": N_("added something"),
    "U": N_("changed something"),
    "D": N_("removed something"),
}
_KINDS: Mapping[str, str] = {
    "health-card-issued": N_("issued a card"),
    "health-card-revoked": N_("withdrew a card"),
}
"""What the log of cards tells, by its subtypes."""
_SERVER = N_("this server")
_ROLES: Mapping[str, str] = {
    "recipient": N_("yourself, or who acts for you"),
    "provider": N_("somebody who vaccinates"),
    "employer": N_("an employer"),
    "registry": N_("a registry or another system"),
    "administrator": N_("an administrator of this server"),
    "analyst": N_("somebody who plans"),
}


def record_routes(portal: Portal) -> list[BaseRoute]:
    """`/me/log` and `/me/copy`."""

    async def log(request: Request, visitor: Visitor) -> Response:
        who = await people(visitor, request)
        asked = {"patient": who.id, "_sort": "-date", "_count": str(_LISTED), "_include": "AuditEvent:agent"}
        chosen = {"person": who.id, **({_OWN: "1"} if _OWN in request.query_params else {})}
        # Where one's own looking is told, too, there is hardly anything else to be seen.
        asked |= {} if _OWN in chosen else {"altid:not": visitor.caller.subject}
        asked |= {_PAGE: request.query_params[_PAGE]} if _PAGE in request.query_params else {}
        page = await visitor.visit.get("AuditEvent", asked)
        found = [entry["resource"] for entry in page.get("entry", ())]
        names = {f"{each['resourceType']}/{each['id']}": _name(each) for each in found}
        zone = portal.site.settings.time_zone
        rows = [_row(each, names, visitor.language, zone) for each in found if each["resourceType"] == "AuditEvent"]
        token = dict(_following(page)).get(_PAGE)
        return portal.site.page(
            request,
            "log",
            who=who,
            name=name_of(who.patient),
            rows=rows,
            most=_LISTED,
            whole=_OWN in chosen,
            newest=_address(chosen) if _PAGE in asked else "",
            older=_address({**chosen, _PAGE: token}) if token else "",
        )

    async def copy(request: Request, visitor: Visitor) -> Response:
        who = await people(visitor, request)
        parameters, entries = [("_count", "1000")], []
        while parameters:
            page = await visitor.visit.get(f"{who.reference}/$everything", parameters)
            entries += [{"fullUrl": entry["fullUrl"], "resource": entry["resource"]} for entry in page.get("entry", ())]
            parameters = _following(page)
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        saved = {"content-disposition": f'attachment; filename="record-{who.id}.json"'}
        told = {**headers(visitor.language), **saved}
        return Response(json.dump(bundle), headers=told, media_type="application/fhir+json")

    return [Route("/me/log", portal.page(log, ROLE)), Route("/me/copy", portal.page(copy, ROLE))]


def _following(page: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is asked for the next page; nothing behind the last."""
    address = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), "")
    return parse_qsl(urlsplit(address).query)


def _address(query: Mapping[str, str]) -> str:
    return "/me/log?" + urlencode(query)


def _name(resource: Mapping[str, Any]) -> str:
    name = resource.get("name", "")
    known = name if isinstance(name, str) and name else name_of(resource)
    return known or f"{resource['resourceType']}/{resource['id']}"


def _row(event: Mapping[str, Any], names: Mapping[str, str], language: str, zone: str) -> dict[str, Any]:
    agents = event.get("agent", ())
    kinds = [_KINDS[each["code"]] for each in event.get("subtype", ()) if each.get("code") in _KINDS]
    told = [agent["who"]["reference"] for agent in event.get("agent", ()) if "reference" in agent.get("who", {})]
    roles = [role.get("text", "") for agent in agents for role in agent.get("role", ())]
    apps = [
        agent["who"]["identifier"]["value"]
        for agent in agents
        if "identifier" in agent.get("who", {}) and not agent.get("requestor")
    ]
    return {
        "moment": languages.moment(str(event.get("recorded", "")), language, zone),
        "who": [names.get(each, each) for each in told],
        "roles": [_ROLES[role] for role in roles if role in _ROLES] or ([] if told else [_SERVER]),
        "app": "" if own_app.ID in apps else ", ".join(apps),
        "action": next(iter(kinds), _ACTIONS.get(event.get("action", ""), _ACTIONS["R"])),
        "refused": event.get("outcome") != "0",
        "reason": next((each.get("text", "") for each in event.get("purposeOfEvent", ())), ""),
    }
