"""Value sets of vaccines that a request may narrow its cards down to.

https://hl7.org/fhir/uv/shc-vaccination/vaccination.html

Only those whose members CVX's own table decides: all vaccines of CVX, and the vaccines of one vaccine group. What they
hold of other code systems (SNOMED CT, ICD-11) is beyond that table, so a dose recorded in none but those is in none.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.fhir.outcome import refuse
from terminology import codes
from terminology.systems import CVX, preferred

_PUBLISHERS = ("https://terminology.smarthealth.cards/ValueSet/", "http://hl7.org/fhir/uv/shc-vaccination/ValueSet/")
_GROUPS: Mapping[str, str | None] = {
    "immunization-all-cvx": None,
    "immunization-covid-all": codes.COVID_19,
    "immunization-covid-cvx": codes.COVID_19,
    "immunization-orthopoxvirus-all": "Orthopoxvirus",
    "immunization-orthopoxvirus-cvx": "Orthopoxvirus",
}
_ALL_OF_CVX = (
    "http://hl7.org/fhir/ValueSet/vaccine-code",
    "http://hl7.org/fhir/us/core/ValueSet/us-core-vaccines-cvx",
    "http://cts.nlm.nih.gov/fhir/ValueSet/2.16.840.1.113762.1.4.1010.6",
)
KNOWN: Mapping[str, str | None] = {
    **{publisher + name: group for publisher in _PUBLISHERS for name, group in _GROUPS.items()},
    **dict.fromkeys(_ALL_OF_CVX),
}
"""The canonical URLs that are understood, with the vaccine group their members belong to; None: any vaccine."""


def group_of(canonical: str) -> str | None:
    """The vaccine group of a value set, None for all vaccines. FhirError 400 that names what is not known."""
    url = canonical.partition("|")[0]
    if url not in KNOWN:
        text = f"The value set '{canonical}' is not known here, so nobody could tell what is in it. Known: "
        raise refuse(400, "not-supported", "unknown-value-set", text + ", ".join(KNOWN), "credentialValueSet")
    return KNOWN[url]


def holds(group: str | None, immunization: Mapping[str, Any]) -> bool:
    """Whether the vaccine of a dose is a member, by its CVX code."""
    for coding in immunization.get("vaccineCode", {}).get("coding", ()):
        if preferred(coding.get("system", "")) == CVX and "code" in coding:
            if group is None and codes.is_vaccine(coding["code"]):
                return True
            if group in codes.vaccine_groups(coding["code"]):
                return True
    return False
