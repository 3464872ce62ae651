"""Compartments: what belongs to a patient (practitioner, encounter ...), of all types at once.

https://hl7.org/fhir/R4/http.html#vsearch
"""

from collections.abc import Sequence

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import compartments, query, subset
from fhir_server.fhir.condition import All
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.params import compartments as definitions
from fhir_server.interactions import paging
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.several import Asked, chosen, page


def types_of(kind: str) -> tuple[str, ...]:
    """The types of a compartment, its own first. FhirError 404 where there is no such compartment."""
    members = definitions().get(kind)
    if members is None:
        raise refuse(404, "not-supported", "unknown-compartment", f"There is no compartment of {kind}.")
    return (kind, *sorted(member for member in members if member != kind))


async def search(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    owner: tuple[str, str],
    pairs: Sequence[tuple[str, str]],
) -> Reply:
    """200 with a page of everything in the compartment of `owner`: `GET Patient/1/*`.

    FhirError 400 for parameters other than those that every type has, `_type`, `_count`, `_summary`, `_elements`.
    """
    known_type(owner[0])
    types = types_of(owner[0])
    plain = [pair for pair in pairs if pair[0] not in ("_type", paging.PARAMETER)]
    settings = context.settings
    request = query.parse("Resource", plain, False, settings.base, settings.max_page_size)
    for name, value in (
        ("_sort", request.sort),
        ("_include", request.includes),
        ("_total", request.total),
        ("_list", request.links),  # on all types at once no other link can be asked for
    ):
        if value:
            raise refuse(400, "not-supported", "not-supported", f"{name} is not served over several types.", name)
    wanted = [value for name, value in pairs if name == "_type"]
    count = settings.page_size if request.count is None else request.count
    asked = Asked(
        "/".join((settings.base, *owner, "*")),
        chosen(predicate, types, wanted),
        lambda each: All((compartments.compartment(*owner, each), request.where)),
        0 if request.summary == "count" else count,
        (*(("_type", value) for value in wanted), *request.understood),
        subset=subset.subset(request.summary, request.elements),
        shape=request.shape,
    )
    return await page(context, caller, predicate, asked, paging.token(pairs))
