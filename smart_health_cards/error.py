"""CardError: the one way this library says no.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html
"""

__all__ = ["CardError"]


class CardError(Exception):
    """Something that cannot be done, or cannot be accepted, as asked.

    `code` is stable and in kebab-case (programs rely on it); `text` is a sentence a person understands. Neither
    repeats what the card says about its holder, so both may be logged.
    """

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")
