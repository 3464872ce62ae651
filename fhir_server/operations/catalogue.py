"""The catalogue: every operation this server has, a row each.

https://hl7.org/fhir/R4/operations.html

To add one: a handler, a row here, its OperationDefinition in definitions/ (a test demands all three and a docs page).
"""

from fhir_server.operations import (
    eligibility,
    everything,
    health_cards,
    health_cards_preview,
    health_cards_revoke,
    health_cards_verify,
    health_links,
    roster,
    who_would_be,
)
from fhir_server.operations.registry import Operation

_PEOPLE = frozenset({"recipient", "provider", "registry", "administrator"})
"""Who deals with single records: the people themselves, those who treat them, and stewards."""
_STAFF = frozenset({"provider", "registry", "administrator"})
_ROSTERS = frozenset({"employer", "provider", "registry", "administrator"})
_PLANNERS = frozenset({"analyst", "administrator"})
_CARD = (("Patient", "r"), ("Immunization", "rs"))

OPERATIONS = (
    Operation(
        "health-cards-issue",
        "health-cards-issue",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=health_cards.issue,
        needs=_CARD,
        roles=_PEOPLE,
    ),
    Operation(
        "health-cards-preview",
        "health-cards-preview",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=health_cards_preview.preview,
        needs=_CARD,
        roles=_PEOPLE,
    ),
    Operation(
        "health-cards-verify",
        "health-cards-verify",
        frozenset({"system"}),
        frozenset(),
        affects_state=False,
        handler=health_cards_verify.verify,
        only_post=True,
    ),
    Operation(
        "health-cards-revoke",
        "health-cards-revoke",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=True,
        handler=health_cards_revoke.revoke,
        needs=(("Patient", "r"), ("Immunization", "ru")),
        roles=_STAFF,
    ),
    Operation(
        "health-link-create",
        "health-link-create",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=True,
        handler=health_links.create,
        needs=_CARD,
        roles=frozenset({"recipient", "administrator"}),
    ),
    Operation(
        "health-links",
        "health-links",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=health_links.overview,
        needs=(("Patient", "r"),),
        roles=frozenset({"recipient", "administrator"}),
    ),
    Operation(
        "health-link-revoke",
        "health-link-revoke",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=True,
        handler=health_links.revoke,
        needs=(("Patient", "r"),),
        roles=frozenset({"recipient", "administrator"}),
    ),
    Operation(
        "vaccine-eligibility",
        "vaccine-eligibility",
        frozenset({"type", "instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=eligibility.decide,
        needs=(("Patient", "r"),),
        roles=_PEOPLE,
    ),
    Operation(
        "who-would-be",
        "who-would-be",
        frozenset({"instance"}),
        frozenset({"Group"}),
        affects_state=False,
        handler=who_would_be.count,
        needs=(("Group", "r"),),
        roles=_PLANNERS,
        asynchronous=True,
    ),
    Operation(
        "roster-upload",
        "roster-upload",
        frozenset({"instance"}),
        frozenset({"Group"}),
        affects_state=True,
        handler=roster.upload,
        needs=(("Group", "ru"), ("Patient", "crus")),
        roles=_ROSTERS,
        accepts=roster.MEDIA_TYPES,
        asynchronous=True,
    ),
    Operation(
        "everything",
        "Patient-everything",
        frozenset({"type", "instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=everything.everything,
        needs=(("Patient", "r"),),
        roles=_PEOPLE,
        paged=True,
    ),
)
