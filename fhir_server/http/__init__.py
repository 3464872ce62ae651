"""HTTP: the only place that knows the web framework.

https://hl7.org/fhir/R4/http.html
"""
