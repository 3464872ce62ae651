"""The catalogue: every operation this server has, a row each.

https://hl7.org/fhir/R4/operations.html

To add one: a handler, a row here, its OperationDefinition in definitions/ (a test demands all three and a docs page).
"""

from fhir_server.operations import health_cards
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
)
