"""The catalogue: every operation this server has, a row each.

https://hl7.org/fhir/R4/operations.html

To add one: a handler, a row here, its OperationDefinition in definitions/ (a test demands all three and a docs page).
"""

from fhir_server.operations import eligibility, everything, health_cards, roster
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
        "vaccine-eligibility",
        "vaccine-eligibility",
        frozenset({"type", "instance"}),
        frozenset({"Patient"}),
        affects_state=False,
        handler=eligibility.decide,
    ),
    Operation(
        "roster-upload",
        "roster-upload",
        frozenset({"instance"}),
        frozenset({"Group"}),
        affects_state=True,
        handler=roster.upload,
        accepts=roster.MEDIA_TYPES,
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
