"""The FHIR engine: pure functions on plain JSON values.

https://hl7.org/fhir/R4/
"""
