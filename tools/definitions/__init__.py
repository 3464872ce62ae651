"""Turns the official R4 definitions package into the compact tables that are committed.

https://hl7.org/fhir/R4/downloads.html

Each generator module has `generate(package) -> dict[Path, bytes]`: committed files, by path from the project root.
"""
