"""https://www.rfc-editor.org/rfc/rfc6750#section-3

Every address outside an explicit list answers 401 to who brings no token, or a wrong one.
"""

import re

import httpx
from starlette.routing import Route

from tests.access.conftest import House

PUBLIC = {
    "/fhir/metadata",
    "/fhir/.well-known/smart-configuration",
    "/fhir/.well-known/openid-configuration",
}
"""What anybody may ask of the API: its descriptions. Besides the API there are the authorization server, the portal and
its pages (which look at secrets and sessions themselves), health, documentation, and what belongs to cards: their keys
and revocations, and cards and links by secret addresses."""


def addresses(house: House) -> list[tuple[str, str]]:
    found = []
    for route in house.app.router.routes:
        if not isinstance(route, Route) or route.path in PUBLIC or not route.path.startswith("/fhir"):
            continue
        methods = getattr(route.endpoint, "methods", None) or route.methods or {"GET"}
        found += [(method, route.path) for method in sorted(methods)]
    return found


async def test_every_other_address_wants_a_token(house: House) -> None:
    listed = addresses(house)
    assert len(listed) > 30
    for method, path in listed:
        address = re.sub(r"\{[^}]+\}", "x", path).replace("/fhir/x", "/fhir/Patient")
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
            answer = await house.http.request(
                method, httpx.URL(str(house.http.base_url)).join(address), headers=headers
            )
            assert answer.status_code == 401, (method, path, answer.status_code)
            assert answer.headers["www-authenticate"].startswith("Bearer "), (method, path)
            assert method == "HEAD" or answer.json()["resourceType"] == "OperationOutcome"


async def test_the_description_is_for_everybody(house: House) -> None:
    assert (await house.http.get("metadata")).status_code == 200
