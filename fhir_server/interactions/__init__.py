"""One function per REST interaction: (Context, Caller, input) -> Reply.

https://hl7.org/fhir/R4/http.html
"""
