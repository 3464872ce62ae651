"""The e-mail that reminds somebody: plain text and HTML, in their language, from templates.

https://www.rfc-editor.org/rfc/rfc5322

Names come from whoever filled a roster. They go through `email.headerregistry.Address` and templates that escape, with
control characters and encoded words taken apart before, so that none of them can begin a header or an element.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fhir_server import languages
from fhir_server.domain import demographics
from fhir_server.domain.reminders import Occasion
from fhir_server.languages import N_

LONGEST_NAME = 100
"""Characters of a name that are shown."""

_ENCODED = "=?"
"""Begins an encoded word (RFC 2047). Python's email decodes those of a display name again when it writes the header,
with the line breaks that may be in them."""
_DOT = re.compile(rb"(?m)^\.")


SUBJECTS: Mapping[Occasion, str] = {
    "welcome": N_("You are registered"),
    "newly-eligible": N_("You can be vaccinated now"),
    "dose-due": N_("It is time for your next dose"),
    "dose-overdue": N_("Your next dose is overdue"),
}


class UnusableAddressError(ValueError):
    """No message can be addressed to this."""


def compose(
    occasion: Occasion,
    language: str,
    sentence: str,
    *,
    to: tuple[str, str],
    sender: tuple[str, str],
    page: str,
    id: str,
    at: int,
) -> EmailMessage:
    """The message. `to` and `sender` are a name, which may be empty, and an address; `page` is the link in it, `id`
    makes its Message-ID, which is the same whenever this is sent again; `at` is in microseconds since 1970.

    UnusableAddressError where the address cannot be written to.
    """
    if demographics.email(to[1]) is None or _ENCODED in to[1]:
        raise UnusableAddressError
    subject = languages.say(SUBJECTS[occasion], language)
    name = shown(to[0])
    values = {"name": name, "sentence": sentence, "page": page, "language": language, "subject": subject}
    message = EmailMessage(policy=SMTPUTF8 if needs_utf8(to[1]) else SMTP)
    try:
        message["To"] = Address(name, addr_spec=to[1])
    except (ValueError, MessageError) as error:
        raise UnusableAddressError from error
    message["From"] = Address(shown(sender[0]), addr_spec=sender[1])
    message["Subject"] = subject
    message["Date"] = datetime.fromtimestamp(at // 1_000_000, UTC)
    message["Message-ID"] = f"<{id}@{sender[1].rpartition('@')[2]}>"
    # So that no automatic answer comes back. https://www.rfc-editor.org/rfc/rfc3834#section-5
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_template("txt", language).render(values), cte="quoted-printable")
    message.add_alternative(_template("html", language).render(values), subtype="html", cte="quoted-printable")
    # Not before: what begins with Content- moves into the first part.
    message["Content-Language"] = language
    return message


def on_the_wire(message: EmailMessage) -> bytes:
    """The message as SMTP's DATA wants it, without the line that ends it.
    https://www.rfc-editor.org/rfc/rfc5321#section-4.5.2"""
    content = message.as_bytes()
    return _DOT.sub(b"..", content if content.endswith(b"\r\n") else content + b"\r\n")


def needs_utf8(address: str) -> bool:
    """Whether only a server with SMTPUTF8 can take the address."""
    return not address.isascii()


def name_of(patient: Mapping[str, Any]) -> str:
    """What a person is called: as the record's usual name says, else its official or first one."""
    names: Sequence[Mapping[str, Any]] = [name for name in patient.get("name", ()) if name.get("use") != "old"]
    order = ("usual", "official")
    ranked = sorted(names, key=lambda name: order.index(name["use"]) if name.get("use") in order else len(order))
    for name in ranked:
        text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")])
        if text.strip():
            return str(text).strip()
    return ""


def shown(name: str) -> str:
    """The name in one line, without what is no letter, sign or space."""
    one_line = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in name)
    return " ".join(one_line.replace(_ENCODED, "= ?").split())[:LONGEST_NAME].strip()


@cache
def _template(kind: str, language: str) -> Any:
    environment = Environment(
        loader=PackageLoader("fhir_server.jobs.reminders"),
        autoescape=kind == "html",  # noqa: S701 - the plain text is no markup: there is nothing to escape
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
    )
    # mypy knows nothing of what an extension adds to an environment.
    install: Any = environment.__getattribute__("install_gettext_translations")
    install(languages.translations(language), newstyle=True)
    return environment.get_template(f"reminder.{kind}")
