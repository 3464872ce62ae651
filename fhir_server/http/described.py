"""Described: what every address does with a method, in words; openapi.py makes the document at /docs of it.

https://hl7.org/fhir/R4/http.html#summary

A test compares it with the routes and with what the running server answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fhir_server.interactions import paging
from fhir_server.interactions.patches import FORMATS, JSON_PATCH, XML_PATCH

FHIR = ("application/fhir+json", "application/fhir+xml")
FORM = "application/x-www-form-urlencoded"
PAGE = paging.PARAMETER

Schema = Literal["Resource", "Bundle", "Parameters", "CapabilityStatement", "OperationOutcome", "JSONPatch"]

Tag = Literal["Resources", "Search", "History", "Many at once", "Operations", "Server", "Access", "Cards"]
"""The groups of the document, in their order."""

ALWAYS = (400, 401, 403, 406, 414, 431, 500, 503)
"""Statuses with which any address of the API may refuse."""
_BODY = (408, 413, 415)
_WRITE = (*_BODY, 409, 412, 422)

REFUSALS: Mapping[int, str] = {
    400: "The request is malformed, or a parameter is unknown or wrong; `expression` names it.",
    401: "The access token is missing, unknown or over; `WWW-Authenticate` says how to go on.",
    403: "The caller's role or the token's scopes do not reach so far.",
    404: "There is no such type, resource, version, operation or address.",
    406: "No format that the client takes is spoken here, or what was read cannot be written in XML.",
    408: "The body did not arrive in time.",
    409: "Others kept writing the same resource; send it again.",
    410: "It was there and has been deleted.",
    412: "A precondition does not hold: `If-Match`, `If-None-Match`, or several resources match.",
    413: "The body is too large.",
    414: "The address is too long.",
    415: "The body is in a format not taken here.",
    422: "The content is not valid R4, or cannot be done.",
    429: "The client asks too often; `Retry-After` says when to ask again.",
    431: "The headers are too long.",
    500: "A fault of the server, which has been logged.",
    503: "The database does not answer, or the request took too long; `Retry-After` says when to try again.",
}

PARAMETERS: Mapping[str, str] = {
    "_format": "The answer's format, before `Accept`: `json`, `xml` or their media types.",
    "_pretty": "Whether the answer is indented.",
    "_summary": "Only some elements: `true`, `text`, `data`, `false`; for searches also `count`.",
    "_elements": "Only these elements, separated by commas, and the mandatory ones.",
    "_count": "Rows on a page; 1,000 at most.",
    "_sort": "Search parameters to sort by, separated by commas; `-` before one sorts down.",
    "_total": "Whether to count all matches: `none`, `estimate`, `accurate`.",
    "_include": "Also what the matches refer to: `Immunization:patient`.",
    "_revinclude": "Also what refers to the matches: `Provenance:target`.",
    "mode": "What is described: `full`, `normative` or `terminology`.",
    "_type": "Only these types, separated by commas.",
    "_since": "Only versions stored at this instant or later.",
    "_at": "Only versions current at some time in this period.",
    "recipient": "Who asks, for the log of the link's owner.",
    "ticket": "The ticket that the manifest's `location` holds.",
    PAGE: "The token of a page link; follow the `next` link instead of writing it.",
}

HEADERS: Mapping[str, str] = {
    "If-Match": 'Only if the current version has this tag: `W/"2"`.',
    "If-None-Match": "Of a read: answer 304 if the version has this tag. Of a write: `*`, only if there is none.",
    "If-None-Exist": "Only if this search finds nothing: `identifier=system|value`.",
    "Idempotency-Key": "A text made up for this one request: sent again with it, the request is not done again.",
    "If-Modified-Since": "Answer 304 if nothing was stored since.",
    "Prefer": "`return=minimal|representation|OperationOutcome`, `handling=lenient|strict`, `respond-async`.",
    "Accept-Language": "Language of sentences: `en` or `es`.",
}

SHAPING = ("_format", "_pretty")
"""Query parameters that every address of the API takes."""
_SUBSET = ("_summary", "_elements")
_VERSION = ("ETag", "Last-Modified")
_JSON = ("application/json",)
_JOSE = ("application/jose",)
_HTML = ("text/html",)
_SMART = "https://hl7.org/fhir/smart-app-launch/"
_LINKS = "https://hl7.org/fhir/uv/smart-health-cards-and-links/links-specification.html"
_CARD = ("text/html", "image/png", "image/svg+xml", "application/pdf", "application/smart-health-card")


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a method does at an address.

    `answers`: what its statuses mean; `gives`: what the body of an answer is, `media` its types. `refuses`: statuses of
    refusals, beside those of ALWAYS where the address belongs to the API. `query` and `headers` name parameters of
    PARAMETERS and HEADERS; `searches` says that the type's search parameters are taken, too. `takes`: media types of
    the body and what it is. `tells`: headers of an answer with a version. `spec`: page and anchor.
    """

    id: str
    summary: str
    spec: str
    answers: Mapping[int, str]
    gives: Schema | None = "Resource"
    media: tuple[str, ...] = FHIR
    refuses: tuple[int, ...] = (404,)
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    searches: bool = False
    takes: Mapping[str, Schema | None] = field(default_factory=dict)
    tells: tuple[str, ...] = ()
    tag: Tag = "Resources"


_FORM: Mapping[str, Schema | None] = {FORM: None}
_RESOURCE: Mapping[str, Schema | None] = dict.fromkeys(FHIR, "Resource")
_PATCH: Mapping[str, Schema | None] = {**dict.fromkeys(FORMATS, "Parameters"), JSON_PATCH: "JSONPatch", XML_PATCH: None}
_FOUND = {200: "A page of what was found."}
_SEARCH_QUERY = ("_count", "_sort", "_total", *_SUBSET, "_include", "_revinclude", PAGE)
_HISTORY_QUERY = ("_since", "_at", "_count", PAGE)
_STORED = {200: "The next version has been stored.", 201: "The resource has been created."}


def _search(id: str, summary: str, spec: str = "http.html#search") -> Interaction:
    return Interaction(
        id, summary, spec, _FOUND, "Bundle", query=_SEARCH_QUERY, headers=("Prefer",), searches=True, tag="Search"
    )


def _system_search(id: str) -> Interaction:
    return Interaction(
        id, "Search for resources of several types", "http.html#search", _FOUND, "Bundle", refuses=(),
        query=("_type", *_SEARCH_QUERY), headers=("Prefer",), searches=True, tag="Search",
    )  # fmt: skip


def _form_search(id: str, summary: str, where: tuple[str, ...] = ()) -> Interaction:
    return Interaction(
        id, summary, "http.html#search", _FOUND, "Bundle",
        refuses=_BODY if where else (404, *_BODY), query=(*where, *_SEARCH_QUERY), headers=("Prefer",),
        searches=True, takes={FORM: None}, tag="Search",
    )  # fmt: skip


def _history(id: str, summary: str, refuses: tuple[int, ...] = (404,)) -> Interaction:
    return Interaction(
        id, summary, "http.html#history", {200: "A page of versions, newest first."}, "Bundle",
        refuses=refuses, query=_HISTORY_QUERY, tag="History",
    )  # fmt: skip


def _bundle(id: str) -> Interaction:
    return Interaction(
        id, "Batch or transaction: many interactions at once", "http.html#transaction",
        {200: "An answer to every entry, in their order."}, "Bundle",
        refuses=(404, *_WRITE), headers=("Idempotency-Key", "Prefer"), takes=dict.fromkeys(FHIR, "Bundle"),
        tag="Many at once",
    )  # fmt: skip


DESCRIBED: Mapping[tuple[str, str], Interaction] = {
    ("GET", "/fhir/metadata"): Interaction(
        "capabilities", "What this server can do", "http.html#capabilities",
        {200: "The CapabilityStatement."}, "CapabilityStatement", refuses=(), query=("mode", *_SUBSET), tag="Server",
    ),
    ("GET", "/fhir/{type}/{id}"): Interaction(
        "read", "Read a resource", "http.html#read",
        {200: "The current version. A client that takes the type of a Binary's content, but no FHIR, gets the content.",
         304: "The client's copy is still current."},
        refuses=(404, 410), query=_SUBSET, headers=("If-None-Match", "If-Modified-Since"), tells=_VERSION,
    ),
    ("GET", "/fhir/{type}/{id}/_history/{version}"): Interaction(
        "vread", "Read one version of a resource", "http.html#vread",
        {200: "That version, likewise.", 304: "The client has it."},
        refuses=(404, 410), query=_SUBSET, headers=("If-None-Match", "If-Modified-Since"), tells=_VERSION,
        tag="History",
    ),
    ("PUT", "/fhir/{type}/{id}"): Interaction(
        "update", "Store the next version of a resource, or the first under this id", "http.html#update",
        _STORED, refuses=(404, *_WRITE), headers=("If-Match", "If-None-Match", "Idempotency-Key", "Prefer"),
        takes=_RESOURCE,
        tells=(*_VERSION, "Location"),
    ),
    ("PATCH", "/fhir/{type}/{id}"): Interaction(
        "patch", "Change a resource by JSON Patch, XML Patch or FHIRPath Patch", "http.html#patch",
        {200: "The next version has been stored."},
        refuses=(404, 410, *_WRITE), headers=("If-Match", "Idempotency-Key", "Prefer"), takes=_PATCH, tells=_VERSION,
    ),
    ("DELETE", "/fhir/{type}/{id}"): Interaction(
        "delete", "Delete a resource; its versions stay readable", "http.html#delete",
        {204: "It is not there, or no longer."}, None,
        refuses=(404, 409, 412, 422), headers=("If-Match", "Idempotency-Key"),
    ),
    ("POST", "/fhir/{type}"): Interaction(
        "create", "Store a resource under an id of the server's", "http.html#create",
        {200: "If-None-Exist found this one; nothing was created.", 201: "The resource has been created."},
        refuses=(404, *_WRITE), headers=("If-None-Exist", "Idempotency-Key", "Prefer"), takes=_RESOURCE,
        tells=(*_VERSION, "Location"),
    ),
    ("PUT", "/fhir/{type}"): Interaction(
        "conditional-update", "Update the one resource that a search finds, or create it", "http.html#cond-update",
        _STORED, refuses=(404, *_WRITE), headers=("If-Match", "If-None-Match", "Idempotency-Key", "Prefer"),
        searches=True,
        takes=_RESOURCE, tells=(*_VERSION, "Location"),
    ),
    ("PATCH", "/fhir/{type}"): Interaction(
        "conditional-patch", "Patch the one resource that a search finds", "http.html#patch",
        {200: "The next version has been stored."}, refuses=(404, *_WRITE),
        headers=("If-Match", "Idempotency-Key", "Prefer"),
        searches=True, takes=_PATCH, tells=_VERSION,
    ),
    ("DELETE", "/fhir/{type}"): Interaction(
        "conditional-delete", "Delete what a search finds", "http.html#3.1.0.7.1",
        {204: "Nothing is found by this search, or no longer."}, None, refuses=(404, 409, 412, 422),
        headers=("If-Match", "Idempotency-Key"), searches=True,
    ),
    ("GET", "/fhir/{type}"): _search("search", "Search for resources of a type"),
    ("POST", "/fhir/{type}/_search"): _form_search("search-post", "Search for resources of a type, with a form"),
    ("GET", "/fhir/{type}/{id}/*"): Interaction(
        "search-compartment", "Everything in a compartment, of all types", "http.html#vsearch", _FOUND, "Bundle",
        query=("_type", "_count", *_SUBSET, PAGE), searches=True, tag="Search",
    ),
    ("GET", "/fhir/{owner}/{id}/{type}"): _search(
        "search-compartment-type", "Search for resources of a type in a compartment", "http.html#vsearch"
    ),
    ("POST", "/fhir/{owner}/{id}/{type}/_search"): _form_search(
        "search-compartment-type-post", "Search for resources of a type in a compartment, with a form"
    ),
    ("GET", "/fhir/{type}/{id}/_history"): _history("history-instance", "The versions of a resource"),
    ("GET", "/fhir/{type}/_history"): _history("history-type", "The versions of all resources of a type"),
    ("GET", "/fhir/_history"): _history("history-system", "The versions of all resources", ()),
    ("GET", "/fhir"): _system_search("search-system"),
    ("GET", "/fhir/"): _system_search("search-system-slash"),
    ("POST", "/fhir/_search"): _form_search(
        "search-system-post", "Search for resources of several types, with a form", ("_type",)
    ),
    ("POST", "/fhir"): _bundle("bundle"),
    ("POST", "/fhir/"): _bundle("bundle-slash"),
    ("GET", "/fhir/_jobs/{job}"): Interaction(
        "job", "How far an asynchronous request is, or its answer",
        "https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request",
        {200: "The answer; gone at the time of `Expires`.", 202: "Not yet: `X-Progress`, `Retry-After` in seconds."},
        refuses=(404, 409, 413, 422, 429), tag="Many at once",
    ),
    ("DELETE", "/fhir/_jobs/{job}"): Interaction(
        "job-delete", "End an asynchronous request and forget its answer",
        "https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-delete-request",
        {202: "It is forgotten."}, None, tag="Many at once",
    ),
    ("GET", "/cards/{file}"): Interaction(
        "card", "A card: a page, or with an ending its picture, its print or its file", "https://smarthealth.cards",
        {200: "The card."}, None, _CARD, refuses=(404, 503), headers=("Accept-Language",), tag="Cards",
    ),
    **{
        ("GET", f"{place}/.well-known/{file}"): Interaction(
            f"{name}{'-of-tenant' if '{' in place else ''}", summary, "https://smarthealth.cards",
            {200: "The list.", 304: "The client's copy is still current."}, None, _JSON,
            headers=("If-None-Match",), tells=("ETag",), refuses=refuses, tag="Cards",
        )
        for place in ("/shc", "/shc/{tenant}")
        for name, file, summary, refuses in (
            ("card-keys", "jwks.json", "The public keys of a card issuer", (404, 503) if "{" in place else (503,)),
            ("card-revocations", "crl/{kid}.json", "The revoked cards of an issuer's key", (404, 503)),
        )
    },
    ("POST", "/shl/{token}"): Interaction(
        "link-manifest", "The files behind a SMART Health Link", _LINKS,
        {200: "The manifest.", 401: "The passcode is missing or wrong; `remainingAttempts` says how many are left."},
        None, _JSON, refuses=(400, 404, 408, 413, 414, 415, 431, 503), takes={"application/json": None}, tag="Cards",
    ),
    ("GET", "/shl/{token}"): Interaction(
        "link-direct", "The one file of a direct SMART Health Link", _LINKS,
        {200: "The encrypted file."}, None, _JOSE, refuses=(400, 404, 503), query=("recipient",), tag="Cards",
    ),
    ("GET", "/shl/{token}/{number}"): Interaction(
        "link-file", "A file of a manifest", _LINKS,
        {200: "The encrypted file."}, None, _JOSE, refuses=(404, 503), query=("ticket",), tag="Cards",
    ),
    **{
        ("GET", f"/fhir/.well-known/{name}"): Interaction(
            name, f"Where the authorization server is, and what it can do ({name})", _SMART + "conformance.html",
            {200: "The metadata."}, None, _JSON, refuses=(503,), tag="Access",
        )
        for name in ("smart-configuration", "openid-configuration")
    },
    **{
        (method, "/oauth/authorize"): Interaction(
            f"authorize-{method.lower()}", "Ask a user for access: pages to log in and to agree",
            _SMART + "app-launch.html#obtain-authorization-code",
            {200: "A page.", 302: "Back to the app, with a `code` or an `error`."}, None, _HTML,
            refuses=(), takes=_FORM if method == "POST" else {}, tag="Access",
        )
        for method in ("GET", "POST")
    },
    **{
        ("POST", f"/oauth/{name}"): Interaction(
            name, summary, "", {200: "The next page.", 302: "Back to the app.", 303: "On to the next page."}, None,
            _HTML, refuses=(), takes=_FORM, tag="Access",
        )
        for name, summary in (
            ("login", "What the login page sends"), ("consent", "What the consent page sends"),
            ("logout", "End the browser's session"),
        )
    },
    **{
        ("POST", f"/oauth/{name}"): Interaction(
            name, summary, spec, {200: "A JSON object.", 400: "`error` and `error_description` say what is wrong.",
            401: "The client did not prove who it is."}, None, _JSON, refuses=(408, 413, 429, 503), takes=_FORM,
            tag="Access",
        )
        for name, summary, spec in (
            ("token", "A code, a refresh token or a client's proof for an access token",
             _SMART + "app-launch.html#obtain-access-token"),
            ("revoke", "End a token before its time", "https://www.rfc-editor.org/rfc/rfc7009"),
            ("introspect", "What a token is good for", _SMART + "token-introspection.html"),
        )
    },
    ("POST", "/oauth/launch"): Interaction(
        "launch", "Start an app with a patient in view: `{client, patient, encounter, user, intent}`",
        _SMART + "app-launch.html#launch-app-ehr-launch", {201: "`launch`, and the address to open."}, None, _JSON,
        refuses=(400, 401, 403, 404, 408, 413, 503), takes={"application/json": None}, tag="Access",
    ),
    ("GET", "/oauth/jwks.json"): Interaction(
        "token-keys", "The public keys that sign id_tokens", "https://www.rfc-editor.org/rfc/rfc7517#section-5",
        {200: "The key set."}, None, _JSON, refuses=(), tag="Access",
    ),
    **{
        (method, f"/account/{name}"): Interaction(
            f"account-{name}-{method.lower()}", summary, "", {200: "A page."}, None, _HTML, refuses=(),
            takes=_FORM if method == "POST" else {}, tag="Access",
        )
        for name, summary in (
            ("password", "Set a password with a one-time code"),
            ("recovery", "Give a patient a one-time code; for providers"),
        )
        for method in ("GET", "POST")
    },
    ("GET", "/livez"): Interaction(
        "livez", "Whether the process answers", "", {200: "It does."}, None, _JSON, refuses=(), tag="Server",
    ),
    ("GET", "/readyz"): Interaction(
        "readyz", "Whether the database answers, too", "", {200: "It does.", 503: "It does not."}, None, _JSON,
        refuses=(), tag="Server",
    ),
}  # fmt: skip
