"""Turns published guides, and our own short sources, into the tables of rules that are committed.

https://hl7.org/fhir/R4/profiling.html
"""
