"""HL7 FHIR R4 server for vaccination: rosters, eligibility, doses and signed proof."""

from importlib.metadata import version

__version__ = version("fhir-server")
