"""Code system URIs used for vaccination, and the other spellings they arrive in.

https://terminology.hl7.org/namingsystems.html
"""

CVX = "http://hl7.org/fhir/sid/cvx"
MVX = "http://hl7.org/fhir/sid/mvx"
NDC = "http://hl7.org/fhir/sid/ndc"
RACE_ETHNICITY = "urn:oid:2.16.840.1.113883.6.238"
V2 = "http://terminology.hl7.org/CodeSystem/v2-"
"""Followed by the four digits of an HL7 v2 table."""

OWN = "https://fhir-server.example/fhir"
"""Base of the canonicals this project gives."""

_SPELLINGS = {
    "urn:oid:2.16.840.1.113883.12.292": CVX,
    "http://terminology.hl7.org/CodeSystem/CVX": CVX,
    "http://terminology.hl7.org/CodeSystem/v2-0292": CVX,
    "urn:oid:2.16.840.1.113883.12.227": MVX,
    "http://terminology.hl7.org/CodeSystem/MVX": MVX,
    "http://terminology.hl7.org/CodeSystem/v2-0227": MVX,
    "urn:oid:2.16.840.1.113883.6.69": NDC,
    "http://terminology.hl7.org/CodeSystem/PHRaceAndEthnicityCDC": RACE_ETHNICITY,
}


def preferred(system: str) -> str:
    """The URI this product stores for that system; any other system's URI as it is."""
    return _SPELLINGS.get(system, system)


def spellings(system: str) -> tuple[str, ...]:
    """The URI this product stores for that system, and those it also arrives under."""
    wanted = preferred(system)
    return (wanted, *(other for other, known in _SPELLINGS.items() if known == wanted))
