"""FHIR operations: declared parameters -> domain -> declared outputs.

https://hl7.org/fhir/R4/operations.html
"""
