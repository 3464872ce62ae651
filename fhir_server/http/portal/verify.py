"""Check a card: by camera, by picture, or by its text. No account, and nothing of it is kept.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.http.card_face import Face, face
from fhir_server.http.exchange import Exchange
from fhir_server.http.portal.pasted import card_file, card_text
from fhir_server.http.portal.site import Site, headers
from fhir_server.http.portal.verdicts import HEADINGS, Outcome, outcome
from fhir_server.operations.health_cards.verify import reports
from smart_health_cards import CardError, Report, read_picture

MOST_BYTES = 12_000_000
"""Of a picture: what the camera of a phone makes."""
_FRAME_BYTES = 2_000_000
"""Of one look through the camera, which the page has made small before."""
_PREFIX = "shc:/"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a reader is told of one card; `heading` and `reasons` are sentences to be translated."""

    outcome: Outcome
    heading: str
    reasons: tuple[str, ...]
    face: Face | None
    issuer: str


def verify_routes(context: Callable[[], Context], site: Site) -> list[BaseRoute]:
    """`/verify`, and `/verify/frame` for the camera of browsers that cannot read codes themselves."""

    async def form(request: Request) -> Response:
        return site.page(request, "verify", camera=True, problem="", text="")

    async def check(request: Request) -> Response:
        try:
            presented, text = await _presented(context(), request)
        except FhirError as error:
            return site.page(request, "verify", error.status, camera=True, problem="too-large", text="")
        if not presented:
            return site.page(request, "verify", 422, camera=True, problem="empty", text=text)
        language = site.language(request)
        checked = [_checked(report, language) for report in await reports(context(), presented, chunks=True)]
        return site.page(request, "verified", checked=checked)

    async def frame(request: Request) -> Response:
        try:
            picture = await Exchange(context(), request.scope, request.receive).body(_FRAME_BYTES)
            codes = read_picture(picture)
        except (FhirError, CardError):
            codes = []
        found = next((code for code in codes if code.startswith(_PREFIX)), None)
        return JSONResponse({"text": found}, headers=headers(site.language(request)))

    return [
        Route("/verify", form),
        Route("/verify", check, methods=["POST"]),
        Route("/verify/frame", frame, methods=["POST"]),
    ]


def _checked(report: Report, language: str) -> Checked:
    found, reasons = outcome(report)
    content = report.content
    # What a card says is shown only where somebody vouches for it, or nobody is known to contradict.
    shown = face(report, language) if content is not None and found != "invalid" else None
    issuer = "" if content is None else content.issuer_name or content.iss
    return Checked(found, HEADINGS[found], reasons, shown, issuer)


async def _presented(context: Context, request: Request) -> tuple[bytes | str, str]:
    """The picture, else the text, and the text as it was typed. FhirError 413 for more than there may be."""
    content = _chunks(Exchange(context, request.scope, request.receive))
    parser: MultiPartParser | FormParser = FormParser(request.headers, content)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        parser = MultiPartParser(request.headers, content, max_files=1, max_fields=3, max_part_size=1_000_000)
    try:
        fields = await parser.parse()
    except MultiPartException:
        return "", ""
    try:
        text, picture = fields.get("text", ""), fields.get("picture")
        typed = text if isinstance(text, str) else ""
        pixels = await picture.read() if isinstance(picture, UploadFile) else b""
        return card_file(pixels) or card_text(typed), typed
    finally:
        await fields.close()


async def _chunks(exchange: Exchange) -> AsyncGenerator[bytes, None]:
    async for chunk in exchange.stream(MOST_BYTES):
        yield chunk
