"""The modules of a card's QR code by zxing-cpp, seven times as fast as by qrcode; an optional accelerator.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#encoding-qrs

It makes the same two segments, and so the same version; the mask may be another, which every reader is told by the code
itself. Give `matrix` to `qr.png` or `qr.svg` as `draw`.
"""

from smart_health_cards import qr
from smart_health_cards.error import CardError

__all__ = ["matrix"]

_DARK_BELOW = 128


def matrix(text: str) -> list[list[bool]]:
    """As `qr.matrix`, which it falls back on where zxing-cpp is not installed. CardError `too-large-for-qr`."""
    # Here and not above: drawing works without it.
    try:
        import zxingcpp
    except ImportError:
        return qr.matrix(text)
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="L")
    drawn = code.to_image(scale=1, add_quiet_zones=False)
    image = memoryview(drawn)  # type: ignore[arg-type]  # its type information does not tell that it is a buffer
    side = image.shape[0] if image.shape else 0
    if side > qr.MAX_MODULES:
        raise CardError("too-large-for-qr", f"The card needs a QR code of {side} modules.")
    lights = image.tobytes()
    return [[light < _DARK_BELOW for light in lights[start : start + side]] for start in range(0, len(lights), side)]
