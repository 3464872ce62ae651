"""The observations the schedules ask for: as a code system with names, and how other systems' codes lead to them.

https://www.cdc.gov/iis/cdsi/index.html

CDC gives codes for some observations; those below are ours, named with their source, for what records hold in practice.
"""

from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element

from tools.schedules import antigen

SYSTEM = "https://fhir-server.example/fhir/CodeSystem/cdsi-observation"

SPANISH = {
    "003": "Persona inmunodeprimida",
    "004": "Receptor de un trasplante de células madre hematopoyéticas",
    "080": "Reacción adversa a un componente de la vacuna",
    "122": "Reacción alérgica grave tras una dosis anterior contra la COVID-19",
    "145": "Linfocitos B [humoral]: deficiencias graves de anticuerpos",
    "147": "Linfocitos T [celular y humoral]: defectos completos",
    "148": "Linfocitos T [celular y humoral]: defectos parciales",
    "153": "Función fagocítica: defecto de adhesión leucocitaria y deficiencia de mieloperoxidasa",
    "154": "VIH/sida: inmunodepresión grave",
    "157": "Trasplante de órgano sólido",
    "158": "Tratamiento inmunosupresor",
    "159": "Radioterapia",
    "187": "Reacción alérgica al polisorbato 80",
    "188": "Alergia conocida al polietilenglicol [PEG]",
    "189": "Tratamiento activo de tumores sólidos",
    "190": "Tratamiento activo de neoplasias hematológicas",
    "191": "Tratamiento con células CAR-T",
    "209": "Antecedente de trombosis con trombocitopenia tras la vacuna de Janssen u otra vacuna de vector adenovírico "
    "contra la COVID-19",
    "268": "Trasplante de islotes pancreáticos",
}

OURS = {
    # SNOMED CT: immunodeficiency disorder; ICD-10-CM: immunodeficiency, unspecified.
    "003": [["SNOMED", "234532001"], ["ICD10CM", "D84.9"]],
    # ICD-10-CM: bone marrow transplant status, stem cells transplant status.
    "004": [["ICD10CM", "Z94.81"], ["ICD10CM", "Z94.84"]],
    # ICD-10-CM: hereditary hypogammaglobulinemia; common variable immunodeficiency, four kinds and unspecified.
    "145": [["ICD10CM", code] for code in ("D80.0", "D83.0", "D83.1", "D83.2", "D83.8", "D83.9")],
    # ICD-10-CM: severe combined immunodeficiency, three kinds.
    "147": [["ICD10CM", code] for code in ("D81.0", "D81.1", "D81.2")],
    # ICD-10-CM: Wiskott-Aldrich syndrome, Di George's syndrome.
    "148": [["ICD10CM", code] for code in ("D82.0", "D82.1")],
    # ICD-10-CM: transplant status of kidney, heart, lung, heart and lungs, liver.
    "157": [["ICD10CM", code] for code in ("Z94.0", "Z94.1", "Z94.2", "Z94.3", "Z94.4")],
    # ICD-10-CM: immunodeficiency due to drugs.
    "158": [["ICD10CM", "D84.821"]],
}


def table(general: Element, schedules: Iterable[dict[str, Any]]) -> dict[str, list[list[str]]]:
    """Other systems' codes (system, code) by the observation they lead to."""
    found = {}
    for code, row in _rows(general, schedules):
        given = [
            [antigen.text(one, "codeSystem"), antigen.text(one, "code")]
            for one in row.iterfind("codedValues/codedValue")
        ]
        found[code] = given + OURS.get(code, [])
    return found


def code_system(general: Element, schedules: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The observations with their names, for whoever wants to say one directly."""
    concepts = [
        {
            "code": code,
            "display": antigen.text(row, "observationTitle"),
            "designation": [{"language": "es", "value": SPANISH[code]}],
        }
        for code, row in _rows(general, schedules)
    ]
    return {
        "resourceType": "CodeSystem",
        "id": "cdsi-observation",
        "url": SYSTEM,
        "version": "4.64",
        "name": "CdsiObservation",
        "title": "CDSi observations",
        "status": "active",
        "experimental": False,
        "publisher": "FHIR Server for vaccination",
        "description": "What CDC's CDSi schedules ask about a person: indications and contraindications. Codes and "
        "English names are CDC's.",
        "caseSensitive": True,
        "content": "fragment",
        "count": len(concepts),
        "concept": concepts,
    }


def _rows(general: Element, schedules: Iterable[dict[str, Any]]) -> list[tuple[str, Element]]:
    wanted = {code for schedule in schedules for code in _asked(schedule)}
    rows = [(antigen.text(row, "observationCode"), row) for row in general.iterfind("observations/observation")]
    return [(code, row) for code, row in rows if code in wanted]


def _asked(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "observation" and isinstance(member, str):
                yield member
            yield from _asked(member)
    elif isinstance(value, list):
        for member in value:
            yield from _asked(member)
