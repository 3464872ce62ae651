"""Settings: everything that can be set, read once at the start.

https://docs.pydantic.dev/latest/concepts/pydantic_settings/

Values come from the environment (`FHIR_SERVER_*`, `MONGODB_URI`, `MONGODB_DRIVER`) and the command line, which wins.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Bytes = Annotated[int, Field(gt=0, description="bytes")]


class Settings(BaseSettings):
    """Everything that can be set. Frozen: read once at start, handed down, never asked of the environment again."""

    model_config = SettingsConfigDict(env_prefix="FHIR_SERVER_", frozen=True, extra="ignore")

    dev: bool = Field(False, description="No authorization, every caller an administrator; loopback only.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    base_url: str = Field("", description="Public address of the FHIR base, ending in /fhir; decides every link.")
    data: Path = Field(Path("data"), description="Folder of keys and, without MONGODB_URI, of the embedded database.")
    workers: int = Field(1, ge=1, le=64, description="Worker processes.")

    mongodb_uri: str = Field(
        "", validation_alias=AliasChoices("mongodb_uri", "MONGODB_URI"), repr=False, description="A MongoDB to use."
    )
    mongodb_driver: Literal["pymongo", "motor"] = Field(
        "pymongo",
        validation_alias=AliasChoices("mongodb_driver", "MONGODB_DRIVER"),
        description="Driver: PyMongo's asynchronous API, or Motor.",
    )
    database: str = Field("fhir", description="Name of the database.")

    max_resource: Bytes = Field(2_000_000, description="Largest resource, in bytes.")
    max_bundle: Bytes = Field(10_000_000, description="Largest Bundle, in bytes.")
    max_bundle_entries: int = Field(5_000, gt=0, description="Most entries in a batch or transaction.")
    max_upload: Bytes = Field(256_000_000, description="Largest roster file, in bytes.")
    page_size: int = Field(50, gt=0, description="Rows on a search page when _count is absent.")
    max_page_size: int = Field(1_000, gt=0, description="A larger _count is lowered to this.")
    request_seconds: float = Field(30.0, gt=0, description="Longest time one request may take, in seconds.")
    conditional_delete_multiple: bool = Field(
        False, description="Whether a conditional delete may delete several resources; otherwise it is refused (412)."
    )
    idempotency_seconds: int = Field(
        86_400, gt=0, description="How long a request with an Idempotency-Key is known again, in seconds."
    )
    job_seconds: int = Field(86_400, gt=0, description="How long the answer of a job is kept, in seconds.")
    page_token_seconds: int = Field(86_400, gt=0, description="How long a page link works, in seconds.")
    portal_name: str = Field("", description="Name of the portal on its pages; otherwise a plain word for it.")
    portal_color: str = Field(
        "#1c4f82",
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="Colour of the portal's header and buttons; dark enough for white letters on it.",
    )
    audit: bool | None = Field(
        None,
        description="Whether access to personal data is logged (AuditEvent); by default unless --dev.",
    )
    jurisdiction: str = Field("US-NC", description="Jurisdiction whose eligibility policy applies when none is named.")
    time_zone: str = Field(
        "America/New_York", description="Time zone of the jurisdiction (IANA): whose calendar day today is."
    )
    small_cell: int = Field(
        11, ge=1, description="Smallest count of people shown to planners; larger ones are rounded down to a multiple."
    )
    card_tenants: tuple[str, ...] = Field(
        (), description="Ids of Organizations that issue cards in their own name, at <origin>/shc/<id>; JSON list."
    )
    card_passphrase: Path | None = Field(
        None, description="File with the passphrase (its first line) under which card keys are encrypted on disk."
    )
    card_directory: Path | None = Field(
        None, description="Directory snapshot of issuers whose cards $health-cards-verify trusts (VCI format)."
    )
    card_directory_key: Path | None = Field(
        None, description="Key (JWK) that must have signed the directory snapshot, which then is a JWS."
    )
    card_wallet: str = Field(
        "",
        pattern=r"^(https://[^\s#]+)?$",
        description="Address of a wallet app that takes cards by deep link (https).",
    )
    card_font: Path | None = Field(
        None, description="TrueType font for PDFs of names beyond the letters of Western Europe."
    )
    clients_file: Path | None = Field(
        None, description="File of clients (TOML or JSON) that are registered at every start."
    )
    access_token_seconds: int = Field(900, ge=300, le=3_600, description="How long an access token works, in seconds.")
    refresh_token_seconds: int = Field(
        2_592_000, gt=0, description="How long a grant with offline_access can be refreshed, in seconds."
    )
    session_seconds: int = Field(3_600, gt=0, description="How long a login in the browser lasts, in seconds.")
    wrong_logins: int = Field(5, gt=0, description="Wrong logins in 15 minutes after which an account has to wait.")
    wrong_logins_overall: int = Field(
        100, gt=0, description="Wrong logins of all accounts in a minute after which all have to wait."
    )
    token_requests: int = Field(10, gt=0, description="Requests to the token endpoint in a second, for each client.")
    registrations: int = Field(60, gt=0, description="Registrations in the portal in an hour, from each address.")
    eligibility_checks: int = Field(600, gt=0, description="Answers judged without a name in an hour, per address.")
    outbound_hosts: tuple[str, ...] = Field(
        (), description="Hosts that this server may ask over https, for keys of clients and providers; JSON list."
    )
    openid_issuer: str = Field(
        "",
        pattern=r"^(https://[^\s?#]+)?$",
        description="OpenID provider whose tokens are taken, instead of own.",
    )
    openid_audience: str = Field("", description="Audience that its tokens must name. [default: the base URL]")
    profiles_own: Literal["off", "warn", "refuse"] = Field(
        "refuse", description="What becomes of a write that breaks a profile of ours it claims in meta.profile."
    )
    profiles_others: Literal["off", "warn", "refuse"] = Field(
        "warn", description="Likewise, for the profiles of other guides; one that is not known is a warning."
    )
    plausibility: Literal["off", "warn", "refuse"] = Field(
        "warn", description="What becomes of a dose that cannot be as it is recorded, such as one before birth."
    )
    plausibility_doubts: Literal["off", "warn", "refuse"] = Field(
        "warn", description="Likewise, for what is only unlikely, such as a vaccine for another age."
    )
    us_core: Literal["6.1.0", "8.0.0"] = Field(
        "6.1.0", description="The version of US Core that a canonical without a version means."
    )
    card_fetch: bool = Field(
        False,
        description="Whether verifying asks a trusted issuer among outbound_hosts for its keys and revocations of now.",
    )
    historical_on_cards: bool = Field(False, description="Whether reported doses (primarySource false) go on cards.")

    smtp_host: str = Field("", description="SMTP server that takes reminders by e-mail; without one none are sent.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is secured: starttls, tls from the first byte, or none."
    )
    smtp_user: str = Field("", description="User to log in as, if the SMTP server asks for that.")
    smtp_password: Path | None = Field(None, description="File with that user's password (its first line).")
    smtp_from: str = Field(
        "", pattern=r"^([^\s@<>]+@[^\s@<>]+)?$", description="Address that reminders come from; bounces go there."
    )
    remind_hour: int = Field(
        9, ge=0, le=23, description="Hour of the day in the jurisdiction's time zone from which reminders are sent."
    )

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        value = value.rstrip("/")
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"the base URL must look like https://host/fhir, not {value!r}")
        return value if value.endswith("/fhir") else value + "/fhir"

    @field_validator("time_zone")
    @classmethod
    def _time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"a time zone is named as in America/New_York, not {value!r}") from None
        return value

    @field_validator("card_tenants")
    @classmethod
    def _card_tenants(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
                raise ValueError(f"a tenant is named by the id of its Organization, without dots, not {name!r}")
        return value

    @field_validator("portal_color")
    @classmethod
    def _portal_color(cls, value: str) -> str:
        if contrast_with_white(value) < READABLE:
            raise ValueError(f"white letters cannot be read on {value} (WCAG 2.2 asks for a contrast of {READABLE})")
        return value

    @model_validator(mode="after")
    def _smtp_sender(self) -> Self:
        if self.smtp_host and not self.smtp_from:
            raise ValueError("smtp_host needs smtp_from, the address that reminders come from")
        return self

    @property
    def audited(self) -> bool:
        """Whether access to personal data is logged."""
        return not self.dev if self.audit is None else self.audit

    @property
    def base(self) -> str:
        """The FHIR base, without a trailing slash: `https://host/fhir`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}/fhir"

    @property
    def origin(self) -> str:
        """The base without `/fhir`: where portal pages, cards and keys live."""
        return self.base.removesuffix("/fhir")

    @property
    def issuer(self) -> str:
        """The SMART Health Card issuer (`iss`); its keys are at `<issuer>/.well-known/jwks.json`."""
        return self.origin + "/shc"


READABLE = 4.5


def contrast_with_white(color: str) -> float:
    """The contrast ratio of a colour (#rrggbb) with white, 1 to 21. https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    parts = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
