"""All pages at the chair: one list for the application.

https://hl7.org/fhir/R4/immunization.html
"""

from starlette.routing import BaseRoute

from fhir_server.http.portal.clinic.chair import chair_routes
from fhir_server.http.portal.clinic.correcting import correcting_routes
from fhir_server.http.portal.clinic.due import due_routes
from fhir_server.http.portal.clinic.finding import finding_routes
from fhir_server.http.portal.clinic.giving import giving_routes
from fhir_server.http.portal.clinic.lot_pages import lot_routes
from fhir_server.http.portal.session import Portal


def clinic_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic` and everything below it."""
    return [
        *finding_routes(portal),
        *lot_routes(portal),
        *due_routes(portal),
        *giving_routes(portal),
        *correcting_routes(portal),
        *chair_routes(portal),
    ]
