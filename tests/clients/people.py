"""The people whom every client creates, changes, finds and deletes, as plain JSON values."""

from typing import Any

FAMILY = "Clientson"
SYSTEM = "https://example.org/clients"


def person(client: str, number: int) -> dict[str, Any]:
    """Person `number` of a client; each has an identifier `<SYSTEM>/<client>|<number>` of their own."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": f"{SYSTEM}/{client}", "value": str(number)}],
        "name": [{"family": FAMILY, "given": [f"Person {number}", client]}],
        "birthDate": f"1950-01-{number + 1:02}",
    }


def household(client: str) -> dict[str, Any]:
    """A transaction: an Organization, and a Patient who refers to it by its `urn:uuid`."""
    organization = "urn:uuid:7b1a6d0e-3f0e-4a53-8a0b-0a7f3f6f5c11"
    patient = {**person(client, 27), "managingOrganization": {"reference": organization}}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": organization,
                "resource": {"resourceType": "Organization", "name": f"Clinic of {client}"},
                "request": {"method": "POST", "url": "Organization"},
            },
            {
                "fullUrl": "urn:uuid:2f5ed4b5-6f3a-4a55-9a35-b0b1b1c8d7f2",
                "resource": patient,
                "request": {"method": "POST", "url": "Patient"},
            },
        ],
    }


def misspelt(client: str) -> dict[str, Any]:
    """A Patient that R4 does not allow: `gendre` is no element."""
    return {**person(client, 26), "gendre": "female"}
