"""Account: where messages are handed in, as the settings say.

https://www.rfc-editor.org/rfc/rfc4954
"""

from fhir_server.access.card_keys import passphrase
from fhir_server.jobs.reminders.post import Account, UnavailableError
from fhir_server.settings import Settings


def account(settings: Settings) -> Account:
    """The SMTP account. UnavailableError where no server is set, or the password file cannot be used."""
    if not settings.smtp_host:
        raise UnavailableError("no SMTP server is set (FHIR_SERVER_SMTP_HOST)")
    try:
        password = "" if settings.smtp_password is None else passphrase(settings.smtp_password).decode()
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the file of the SMTP password cannot be used: {error}") from None
    return Account(
        settings.smtp_host, settings.smtp_port, settings.smtp_security, settings.smtp_user, password, settings.smtp_from
    )
