"""Sentences that say why a code is not right, in English and Spanish.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html
"""

from collections.abc import Mapping

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "no-coding": ("There is no code to judge.", "No hay ningún código que comprobar."),
    "unknown-code": ("'{code}' is not a code of {system}.", "'{code}' no es un código de {system}."),
    "unknown-system": (
        "The code system {system} is not known here.",
        "El sistema de códigos {system} no se conoce aquí.",
    ),
    "code-not-held": (
        "'{code}' is not among the codes held here of {system}; whether it exists cannot be told.",
        "'{code}' no está entre los códigos de {system} que se conocen aquí; no se puede saber si existe.",
    ),
    "other-system": (
        "The code is of {system}, not of {expected}.",
        "El código es de {system}, no de {expected}.",
    ),
    "not-in-value-set": (
        "'{code}' of {system} is not in the value set {value_set}.",
        "'{code}' de {system} no está en el conjunto de valores {value_set}.",
    ),
    "plain-not-in-value-set": (
        "'{code}' is not in the value set {value_set}.",
        "'{code}' no está en el conjunto de valores {value_set}.",
    ),
    "several-systems": (
        "'{code}' is a code of several systems ({systems}); say which is meant.",
        "'{code}' es un código de varios sistemas ({systems}); indique cuál.",
    ),
    "cannot-tell": (
        "Whether '{code}' is right cannot be told: {unheld} is not held here.",
        "No se puede saber si '{code}' es correcto: falta aquí {unheld}.",
    ),
    "wrong-display": (
        "'{given}' is not what '{code}' is called; it is '{display}'.",
        "'{code}' no se llama '{given}', sino '{display}'.",
    ),
    "abstract": (
        "'{code}' only groups other codes and is not to be used itself.",
        "'{code}' solo agrupa otros códigos y no debe usarse.",
    ),
    "inactive": ("'{code}' is no longer in use.", "'{code}' ya no está en uso."),
    "no-map": ("No concept map leads from here to there.", "Ningún mapa de conceptos lleva de aquí allí."),
    "no-match": (
        "'{code}' of {system} corresponds to nothing there.",
        "'{code}' de {system} no corresponde allí a nada.",
    ),
}


def sentence(name: str, language: str, **values: str) -> str:
    """The sentence in that language (`es`; anything else is English)."""
    english, spanish = _SENTENCES[name]
    return (spanish if language == "es" else english).format(**values)
