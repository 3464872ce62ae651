"""Issuer: who signs the cards, and the issuer's own rules for them.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#determining-keys-associated-with-an-issuer
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from smart_health_cards.error import CardError

__all__ = ["Issuer", "check_iss", "is_loopback"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Issuer:
    """The rules under which cards are made; built once, shared by every card.

    - `iss`: the address under which the keys are published, https and without a slash at the end. http is taken for
      the loopback host only, so that a development server can issue what it can verify itself.
    - `group_of`: the disease group of an Immunization. Doses of different groups never share a card; a dose for
      which it answers None gets a card by its vaccine code.
    - `code_allowed(system, code)`: whether a code may name a vaccine on a card; None allows every code of CVX,
      SNOMED CT and ICD-11.
    - `historical`: whether doses reported rather than given by the source (`primarySource` false) go on cards.
    - `lifetime`: seconds after which cards expire, or None.
    - `immunization_type`: whether the type `#immunization` is stated beside `#health-card`.
    - `cards_per_group`: into how many cards one group may spread; the oldest doses beyond that are left out.

    CardError `iss-not-https` or `iss-malformed`.
    """

    iss: str
    group_of: Callable[[Mapping[str, Any]], str | None]
    code_allowed: Callable[[str, str], bool] | None = None
    historical: bool = False
    lifetime: int | None = None
    immunization_type: bool = True
    cards_per_group: int = 1

    def __post_init__(self) -> None:
        if not is_loopback(self.iss):
            check_iss(self.iss)


def check_iss(iss: object) -> str:
    """`iss` when it may name an issuer; CardError `iss-missing`, `iss-not-https` or `iss-malformed` otherwise."""
    if not isinstance(iss, str) or not iss:
        raise CardError("iss-missing", "The card does not say who issued it (iss).")
    if not iss.startswith("https://"):
        raise CardError("iss-not-https", "The issuer's address does not begin with https://.")
    return _well_formed(iss)


def is_loopback(iss: str) -> bool:
    """Whether `iss` is a well-formed http address of this very machine."""
    try:
        return iss.startswith("http://") and urlsplit(_well_formed(iss)).hostname in _LOOPBACK
    except CardError:
        return False


def _well_formed(iss: str) -> str:
    text = "The issuer's address must have a host, and no slash at its end, query, fragment, user name or blank."
    try:
        parts = urlsplit(iss)
        host, user = parts.hostname, parts.username
    except ValueError:
        raise CardError("iss-malformed", text) from None
    if not host or user is not None or iss.endswith("/") or any(mark in iss for mark in "?#\\"):
        raise CardError("iss-malformed", text)
    if not iss.isascii() or not iss.isprintable() or " " in iss:
        raise CardError("iss-malformed", text)
    return iss
