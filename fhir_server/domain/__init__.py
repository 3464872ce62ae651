"""Pure vaccine knowledge: dates and codes in, decisions with reasons out. No FHIR, no I/O, no clock."""
