"""Binary: content that comes and goes as it is, instead of inside a resource.

https://hl7.org/fhir/R4/binary.html#rest

Content is taken as it is where it is declared as anything but FHIR, and given so to who takes it but no FHIR: a client
that leaves the choice open gets the resource, as of every other type.
"""

import re
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

from fhir_server.fhir import json
from fhir_server.http import formats
from fhir_server.interactions.reply import Reply

SECURITY_CONTEXT = "X-Security-Context"
"""The header that stands for `Binary.securityContext`."""

# What people have stored must not run as a page of this origin, nor break the header it is named in.
_HARMLESS = (("content-security-policy", "sandbox; default-src 'none'"),)
_is_media_type = re.compile(r"[\w.+-]+/[\w.+-]+(;[\x20-\x7e]*)?", re.ASCII).fullmatch
_is_printable = re.compile(r"[\x21-\x7e]+").fullmatch


def is_content(declared: str | None) -> bool:
    """Whether a body so declared is content, and no resource."""
    return declared is not None and not formats.is_fhir(declared) and _is_media_type(declared) is not None


def wrapped(content: bytes, media_type: str, id: str | None, security_context: str | None) -> bytes:
    """The Binary that holds this content, FHIR JSON; it is still to be checked like any other."""
    resource: dict[str, Any] = {"resourceType": "Binary"}
    if id is not None:
        resource["id"] = id
    resource["contentType"] = media_type
    if security_context is not None:
        resource["securityContext"] = {"reference": security_context}
    if content:
        resource["data"] = b64encode(content).decode()
    return json.dump(resource)


def content(reply: Reply, accept: str) -> Reply | None:
    """The reply with what the Binary in it holds, None where an Accept header does not take that."""
    resource = json.parse(reply.body or b"{}")
    media_type = resource.get("contentType", "")
    if _is_media_type(media_type) is None or not formats.accepts(accept, media_type):
        return None
    context = resource.get("securityContext", {}).get("reference")
    told = ((SECURITY_CONTEXT.lower(), context),) if context and _is_printable(context) else ()
    data = b64decode(resource.get("data", ""))
    return replace(reply, body=data, media_type=media_type, headers=(*reply.headers, *_HARMLESS, *told))
