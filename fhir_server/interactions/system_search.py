"""System search: resources of any type, or of those that `_type` names.

https://hl7.org/fhir/R4/http.html#search

Every parameter must be one that all the types searched have; where one type is named, that is a search of the type.
"""

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.caller import Caller, Predicate, unscoped
from fhir_server.context import Context
from fhir_server.fhir import query, subset
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.query import SearchRequest
from fhir_server.interactions import paging, search
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.several import SORTED, Asked, chosen, page
from profiles.definitions import RESOURCE_TYPES

_TYPES = tuple(sorted(RESOURCE_TYPES))


async def system_search(
    context: Context, caller: Caller, predicate: Predicate, pairs: Sequence[tuple[str, str]], lenient: bool
) -> Reply:
    """200 with a page over the types, one after the other, or sorted together.

    FhirError 400 naming the parameter that is wrong or that one of the types does not have, and for `_sort` of many.
    """
    wanted = [value for name, value in pairs if name == "_type"]
    types = chosen(predicate, _TYPES, wanted)
    plain = [pair for pair in pairs if pair[0] != "_type"]
    if len(types) == 1:
        return await search.search(context, caller, predicate, types[0], plain, lenient)
    settings = context.settings
    plain = [pair for pair in plain if pair[0] != paging.PARAMETER]
    if not types:
        raise unscoped(predicate, ("*", "s"))
    requests = _requests(context, types, plain, lenient)
    first = requests[types[0]]
    if first.sort and len(types) > SORTED:
        text = f"More than {SORTED} types cannot be sorted together; name fewer with _type."
        raise refuse(400, "too-costly", "not-supported", text, "_sort")
    where = {
        each: await search.resolve(context, caller, predicate, request.criteria) for each, request in requests.items()
    }
    count = settings.page_size if first.count is None else first.count
    asked = Asked(
        settings.base,
        types,
        where.__getitem__,
        0 if first.summary == "count" else count,
        (*(("_type", value) for value in wanted), *first.understood),
        subset=subset.subset(first.summary, first.elements),
        includes=first.includes,
        total=first.total,
        ignored=first.ignored,
        shape=first.shape,
        sort={each: search.keys(request.sort) for each, request in requests.items() if request.sort},
    )
    return await page(context, caller, predicate, asked, paging.token(pairs))


def _requests(
    context: Context, types: Sequence[str], pairs: Sequence[tuple[str, str]], lenient: bool
) -> dict[str, SearchRequest]:
    """What the parameters mean for each type; those that not all of them have are refused or, if lenient, ignored."""
    settings = context.settings

    def parsed(each: str, given: Sequence[tuple[str, str]]) -> SearchRequest:
        return query.parse(each, given, lenient, settings.base, settings.max_page_size)

    requests = {each: parsed(each, pairs) for each in types}
    ignored = {issue.expression: issue for request in requests.values() for issue in request.ignored}
    if not ignored:
        return requests
    understood = [{name for name, _ in (*request.understood, *request.shape)} for request in requests.values()]
    shared = [pair for pair in pairs if all(pair[0] in names for names in understood)]
    requests = {each: parsed(each, shared) for each in types}
    first = requests[types[0]]
    return {**requests, types[0]: replace(first, ignored=tuple(ignored.values()))}
