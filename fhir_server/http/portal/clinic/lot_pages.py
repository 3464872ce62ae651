"""The page of the lots of the day: where this browser stands, and what is in the refrigerator there.

https://www.gs1.org/standards/gs1-datamatrix-guideline
"""

from collections.abc import AsyncGenerator, Mapping

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.fhir.outcome import FhirError
from fhir_server.http.exchange import Exchange
from fhir_server.http.portal.clinic import dose_form, lots, packages, pages
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.http.portal.site import headers
from fhir_server.languages import N_, say
from smart_health_cards import CardError, read_picture

_MOST_BYTES = 12_000_000
"""Of a picture: what the camera of a phone makes."""
_FRAME_BYTES = 2_000_000
"""Of one look through the camera, which the page has made small before."""
_READ = N_("Read: {product}, lot {number}, good until {day}")


def lot_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic/lots` and `/clinic/lots/picture` (GET, POST), and `/clinic/lots/frame` (POST) for the camera."""

    async def show(request: Request, visitor: Visitor) -> Response:
        if request.method == "POST":
            return await change(request, visitor)
        return await page(request, visitor, {}, {})

    async def change(request: Request, visitor: Visitor) -> Response:
        typed = await portal.posted(request)
        here, known = await pages.place(portal, visitor, request)
        today = portal.context().today
        response = RedirectResponse("/clinic/lots", 303)
        match typed.get("decision"):
            case "stand":
                chosen = next((each for each in known if each.id == typed.get("place")), None)
                if chosen is None:
                    return await page(request, visitor, typed, {"place": "unknown"}, 422)
                pages.stand(portal, response, chosen)
            case "again":
                await lots.change(visitor, here, today, await lots.of_the_last_day(visitor, here, today))
            case "remove":
                await lots.change(visitor, here, today, remove=[typed.get("lot", "")])
            case _:
                wrong: dict[str, str] = {}
                lot = None
                if typed.get("code", "").strip():
                    lot = dose_form.scanned(typed, (), wrong)
                else:
                    wrong["code"] = "missing"
                if lot is None:
                    return await page(request, visitor, typed, wrong, 422)
                await lots.change(visitor, here, today, [lot])
        return response

    async def picture(request: Request, visitor: Visitor) -> Response:
        # Nothing is stored: what the picture says comes back in the form.
        if request.method != "POST":
            return RedirectResponse("/clinic/lots", 303)
        try:
            found = read_picture(await _picture(portal, request), symbology="DataMatrix")
        except (CardError, FhirError):
            found = []
        text = next((each for each in found if packages.read(each) is not None), "")
        wrong = {} if text else {"picture": "no-code"}
        return await page(request, visitor, {"code": text}, wrong, 200 if text else 422)

    async def frame(request: Request, visitor: Visitor) -> Response:
        # Nothing is stored here either, so it needs no proof of where it comes from.
        try:
            sent = await Exchange(portal.context(), request.scope, request.receive).body(_FRAME_BYTES)
            found = read_picture(sent, symbology="DataMatrix")
        except (CardError, FhirError):
            found = []
        text = next((each for each in found if packages.read(each) is not None), None)
        said = "" if text is None else await meaning(request, visitor, text)
        return JSONResponse({"text": text, "said": said}, headers=headers(visitor.language))

    async def meaning(request: Request, visitor: Visitor, text: str) -> str:
        """The product, lot and expiry of a code, or what it does not say."""
        here, _ = await pages.place(portal, visitor, request)
        wrong: dict[str, str] = {}
        set_today = await lots.of_day(visitor, here, portal.context().today)
        lot = dose_form.scanned({"code": text}, set_today, wrong)
        if lot is None:
            return " ".join(say(dose_form.PROBLEMS[each], visitor.language) for each in wrong.values())
        read = {"product": lot.name, "number": lot.number, "day": lot.expires}
        return say(_READ, visitor.language, read)

    async def page(
        request: Request, visitor: Visitor, typed: Mapping[str, str], wrong: Mapping[str, str], status: int = 200
    ) -> Response:
        here, known = await pages.place(portal, visitor, request)
        today = portal.context().today
        set_today = await lots.of_day(visitor, here, today)
        before = () if set_today else await lots.of_the_last_day(visitor, here, today)
        return portal.form(
            request,
            "clinic-lots",
            status,
            camera=True,
            here=here,
            known=known,
            lots=set_today,
            before=before,
            typed={**dict.fromkeys(("code", "number", "expires"), ""), **typed},
            wrong=wrong,
            problems=dose_form.PROBLEMS,
        )

    both = ["GET", "POST"]
    return [
        Route("/clinic/lots", portal.page(show, pages.ROLE), methods=both),
        Route("/clinic/lots/picture", portal.page(picture, pages.ROLE), methods=both),
        Route("/clinic/lots/frame", portal.page(frame, pages.ROLE), methods=["POST"]),
    ]


async def _picture(portal: Portal, request: Request) -> bytes:
    """The picture that was chosen; empty for none. FhirError 413 for more than there may be."""
    exchange = Exchange(portal.context(), request.scope, request.receive)

    async def chunks() -> AsyncGenerator[bytes, None]:
        async for chunk in exchange.stream(_MOST_BYTES):
            yield chunk

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return b""
    try:
        fields = await MultiPartParser(request.headers, chunks(), max_files=1, max_fields=3).parse()
    except MultiPartException:
        return b""
    try:
        chosen = fields.get("picture")
        return await chosen.read() if isinstance(chosen, UploadFile) else b""
    finally:
        await fields.close()
