"""The FHIR engine, tested without a server or database."""
