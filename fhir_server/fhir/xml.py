"""XML: resources between JSON, which the server keeps, and FHIR XML, which clients may speak. Lossless both ways.

https://hl7.org/fhir/R4/xml.html
"""

from fhir_server.fhir.xml_read import from_xml
from fhir_server.fhir.xml_write import to_xml

__all__ = ["from_xml", "to_xml"]
