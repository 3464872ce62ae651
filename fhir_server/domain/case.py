"""A case: one person under one schedule on one day, as every series is judged by.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapter 4.1)
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from fhir_server.domain.course import Shot
from fhir_server.domain.person import Person
from fhir_server.domain.schedule import KnowledgeBase


@dataclass(frozen=True, slots=True)
class Case:
    """`day` is the ordinal of the assessment. `given` are the doses the schedule is about and `others` all doses, for
    conflicts between products; both in time. `completed` are the series groups that have a complete series."""

    person: Person
    knowledge_base: KnowledgeBase
    day: int
    given: Sequence[Shot]
    others: Sequence[Shot]
    completed: Set[str] = frozenset()
