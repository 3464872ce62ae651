"""Pairs: the names and values of a query string or form, decoded.

https://hl7.org/fhir/R4/search.html#escaping
"""

from urllib.parse import parse_qsl

from fhir_server.fhir.outcome import refuse

MOST = 1_000
"""Names a query or form may have."""


def pairs(encoded: str) -> list[tuple[str, str]]:
    """Names and values in order. FhirError 400 for escapes that are no UTF-8, or more than 1,000 names."""
    try:
        return parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except ValueError:
        raise malformed() from None


def of_bytes(encoded: bytes) -> list[tuple[str, str]]:
    """As `pairs`, of what came as bytes: FhirError 400 also where some are not ASCII: nobody knows what they are."""
    try:
        return pairs(encoded.decode("ascii"))
    except UnicodeDecodeError:
        raise malformed() from None


def malformed() -> Exception:
    """400: these are no percent-encoded parameters."""
    text = f"The parameters are not percent-encoded UTF-8, or there are more than {MOST:,}."
    return refuse(400, "invalid", "malformed-query", text)
