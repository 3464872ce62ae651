"""XML names: which namespace a prefix stands for, where.

https://hl7.org/fhir/R4/xml.html

Prefixes are resolved here and not by the parser: it copies a namespace's address into every attribute's name, so that a
small document can make it fill the memory.
"""

from fhir_server.fhir.xml_slots import FHIR

_XML = "http://www.w3.org/XML/1998/namespace"
_SCHEMA_LOCATION = ("http://www.w3.org/2001/XMLSchema-instance", "schemaLocation")
_MOST = 64


class Refused(Exception):  # noqa: N818 - ends the parse from within a handler; from_xml turns it into a FhirError
    """What the reader does not accept: our detail code and the sentence."""

    def __init__(self, detail: str, text: str) -> None:
        self.detail = detail
        super().__init__(text)


class Scope:
    """The namespaces in force. `plain`: tags without a prefix are FHIR's, the common case."""

    def __init__(self) -> None:
        self._bound = {"": "", "xml": _XML}
        self._outer: list[tuple[int, dict[str, str]]] = []
        self.plain = False

    def enter(self, depth: int, given: list[str]) -> dict[str, str]:
        """The attributes of an element at `depth` without its namespace declarations, which come into force.

        `given` holds names and values in turn. Of prefixed attributes only `xml:` ones are handed on; the place of a
        schema is passed over; anything else is refused, as is a document with more than 64 prefixes.
        """
        if not given:
            return {}
        pairs = list(zip(given[::2], given[1::2], strict=True))
        declared = {name[6:]: value for name, value in pairs if _declares(name)}
        if declared:
            self._outer.append((depth, self._bound))
            self._bound = {**self._bound, **declared}
            if len(self._bound) > _MOST:
                raise Refused("too-many-namespaces", f"more than {_MOST} namespace prefixes are declared")
            self.plain = self._bound[""] == FHIR
        return {name: value for name, value in pairs if not _declares(name) and self._is_own(name)}

    def _is_own(self, attribute: str) -> bool:
        if ":" not in attribute or attribute.startswith("xml:"):
            return True
        if self.resolve(attribute) == _SCHEMA_LOCATION:
            return False
        raise Refused("unknown-attribute", f"the attribute '{attribute[:80]}' has no meaning in FHIR")

    def leave(self, depth: int) -> None:
        """The element at `depth` ends; what it declared is no longer in force."""
        if self._outer and self._outer[-1][0] == depth:
            self._bound = self._outer.pop()[1]
            self.plain = self._bound[""] == FHIR

    def resolve(self, tag: str) -> tuple[str, str]:
        """Namespace and local name."""
        prefix, colon, name = tag.rpartition(":")
        namespace = self._bound.get(prefix)
        if namespace is None or (colon and not (prefix and namespace)):
            raise Refused("wrong-namespace", f"the prefix '{prefix[:40]}' stands for no namespace")
        return namespace, name

    def prefixed(self, namespace: str) -> bool:
        """Whether any prefix stands for the namespace."""
        return any(prefix and bound == namespace for prefix, bound in self._bound.items())


def _declares(attribute: str) -> bool:
    return attribute == "xmlns" or attribute.startswith("xmlns:")
