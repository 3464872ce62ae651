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

OPERATIONS = (
    Operation(
        "health-cards-issue",
        "health-cards-issue",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=health_cards.issue,
    ),
    Operation(
        "health-cards-preview",
        "health-cards-preview",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=health_cards_preview.preview,
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
    ),
    Operation(
        "health-link-create",
        "health-link-create",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=True,
        handler=health_links.create,
    ),
    Operation(
        "health-links",
        "health-links",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=health_links.overview,
    ),
    Operation(
        "health-link-revoke",
        "health-link-revoke",
        frozenset({"instance"}),
        frozenset({"Patient"}),
        affects_state=True,
        handler=health_links.revoke,
    ),
    Operation(
        "vaccine-eligibility",
        "vaccine-eligibility",
        frozenset({"type", "instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=eligibility.decide,
    ),
    Operation(
        "who-would-be",
        "who-would-be",
        frozenset({"instance"}),
        frozenset({"Group"}),
        affects_state=False,
        handler=who_would_be.count,
        asynchronous=True,
    ),
    Operation(
        "roster-upload",
        "roster-upload",
        frozenset({"instance"}),
        frozenset({"Group"}),
        affects_state=True,
        handler=roster.upload,
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
        paged=True,
    ),
)
