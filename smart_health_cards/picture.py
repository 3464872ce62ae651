"""Pictures of QR codes, read: a scan or photo in, the texts of its codes out.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#health-cards-as-qr-codes
"""

import io
import struct
import zlib
from typing import Literal

from smart_health_cards.error import CardError

__all__ = ["MAX_BYTES", "is_picture", "read"]

MAX_BYTES = 20 * 1024 * 1024
"""A larger picture file is refused unread."""

MAX_PIXELS = 50_000_000
"""A picture with more pixels is refused before they are unpacked."""

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for a broken file: it has no exception of its own."""


def is_picture(data: bytes) -> bool:
    """Whether `data` begins like a PNG or JPEG."""
    return data.startswith(_MAGIC)


def read(data: bytes, symbology: Literal["QRCode", "DataMatrix"] = "QRCode") -> list[str]:
    """The texts of all codes of this kind in a PNG or JPEG, maybe none.

    CardError `picture-too-large`, `picture-unreadable`, or `picture-reader-missing` when the reader is not installed.
    """
    if len(data) > MAX_BYTES:
        raise CardError("picture-too-large", "The picture file is larger than 20 MB.")
    # Here and not above: issuing and checking cards need neither of the two.
    try:
        import zxingcpp
        from PIL import Image
    except ImportError:
        text = "Reading pictures needs the packages pillow and zxing-cpp."
        raise CardError("picture-reader-missing", text) from None
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise CardError("picture-too-large", "The picture has more than 50 million pixels.")
            # A transparent background would come out black, like the modules on it.
            layers = picture.convert("RGBA")
        ground = Image.new("RGBA", layers.size, "white")
        grey = Image.alpha_composite(ground, layers).convert("L")
    except bombs:
        raise CardError("picture-too-large", "The picture has more than 50 million pixels.") from None
    except _BROKEN:
        raise CardError("picture-unreadable", "The picture file is damaged or not a PNG or JPEG.") from None
    return [
        found.text
        for found in zxingcpp.read_barcodes(grey, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat[symbology]]))
    ]
