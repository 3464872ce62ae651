"""Generates terminology/data: CDC's code sets, and HL7's code systems, value sets and concept maps.

https://hl7.org/fhir/R4/terminology-module.html
"""
