"""https://www.rfc-editor.org/rfc/rfc5322

What a message looks like, in both languages, and that no name can say anything in its headers or its HTML.
"""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, get_args

import pytest

from fhir_server import languages
from fhir_server.domain.reminders import Occasion
from fhir_server.jobs.reminders import mail

HIDDEN = ("MIME-Version", "Content-Type")
SENTENCE = "Your next dose is due."


def composed(name: str = "Ana Peña", address: str = "ana@example.org", **more: Any) -> EmailMessage:
    base: dict[str, Any] = {"occasion": "dose-due", "language": "en", "sentence": SENTENCE}
    base |= {"to": (name, address), "sender": ("Vaccines", "r@vaccines.example"), "page": "https://vaccines.example/me"}
    return mail.compose(**base | {"id": "abc", "at": 1_612_537_200_000_000} | more)


def received(message: EmailMessage) -> EmailMessage:
    """As the receiving side reads it."""
    content = mail.on_the_wire(message).replace(b"\r\n..", b"\r\n.")
    found = message_from_bytes(content, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    text: str = body.get_content()
    return text


def test_headers() -> None:
    assert {name: str(value) for name, value in received(composed()).items() if name not in HIDDEN} == {
        "To": "Ana Peña <ana@example.org>",
        "From": "Vaccines <r@vaccines.example>",
        "Subject": "It is time for your next dose",
        "Date": "Fri, 05 Feb 2021 15:00:00 +0000",
        "Message-ID": "<abc@vaccines.example>",
        "Content-Language": "en",
        "Auto-Submitted": "auto-generated",
    }


@pytest.mark.parametrize("language", languages.languages())
@pytest.mark.parametrize("occasion", get_args(Occasion))
def test_every_occasion_in_every_language(occasion: Occasion, language: str) -> None:
    message = received(composed(occasion=occasion, language=language))
    assert message["Subject"] == languages.say(mail.SUBJECTS[occasion], language)
    assert message.get_content_type() == "multipart/alternative"
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert languages.say("Hello %(name)s,", language) % {"name": "Ana Peña"} in text
        assert SENTENCE in text and "https://vaccines.example/me" in text
        assert languages.say("This address is not read. Please do not answer.", language) in text
    assert f'<html lang="{language}">' in part(message, "html")
    assert part(message, "plain").splitlines()[-1] == languages.say(
        "This address is not read. Please do not answer.", language
    )


@pytest.mark.parametrize(
    "name",
    [
        "Ana\r\nBcc: all@example.org",
        "Ana\nSubject: Free",
        "Ana\r\n\r\n<p>body</p>",
        "Ana\x00\x0b\x0c\x1c\x85\u2028\u2029Bcc: x@example.org",
        '"Ana" <other@example.org>,',
        "=?utf-8?q?Ana=0D=0ABcc:_x@example.org?=",
        "==??utf-8?q?Ana=0D=0ABcc:_x@example.org?=",
        "=\x00?utf-8?b?QW5hDQpCY2M6IHhAZXhhbXBsZS5vcmc=?=",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{ 7 * 7 }}{% raw %}%(name)s",
        "\u202eAna",
        ".\r\n.\r\nMAIL FROM:<x@example.org>",
        "A" * 5_000,
        "",
        "   ",
    ],
)
def test_a_name_stays_a_name(name: str) -> None:
    message = received(composed(name))
    assert message.keys() == composed("").keys()
    [recipient] = message["To"].addresses
    assert (recipient.addr_spec, len(recipient.display_name) <= mail.LONGEST_NAME) == ("ana@example.org", True)
    assert str(message["Subject"]) == "It is time for your next dose"
    html = part(message, "html")
    assert "<script" not in html and "<img" not in html and "<p>body" not in html
    assert "49" not in html
    assert b"\r\n.\r\n" not in mail.on_the_wire(composed(name))
    assert all(len(line) <= 998 for line in mail.on_the_wire(composed(name)).split(b"\r\n"))


def test_a_line_that_begins_with_a_dot() -> None:
    assert b"\r\n..hidden" in mail.on_the_wire(composed(sentence="one\n.hidden"))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "a@b\r\nBcc: x@y.org",
        "ana@example.org>",
        "ana@@example.org",
        "a b@c.org",
        "=?utf-8?q?a=0D=0ABcc:x?=@example.org",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(mail.UnusableAddressError):
        composed(address=address)


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ([], ""),
        ([{"given": ["Ana", "Luz"], "family": "Peña"}], "Ana Luz Peña"),
        ([{"use": "official", "text": "Dr. Ana Peña"}, {"use": "usual", "text": "Ana"}], "Ana"),
        ([{"use": "old", "text": "Ana Before"}, {"family": "Peña"}], "Peña"),
        ([{"use": "usual"}, {"use": "official", "given": ["Ana"]}], "Ana"),
    ],
)
def test_what_people_are_called(names: list[dict[str, Any]], name: str) -> None:
    assert mail.name_of({"name": names}) == name
