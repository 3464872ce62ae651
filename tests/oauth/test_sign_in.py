"""https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html

Cookies, forms that came from elsewhere, wrong logins, and passwords set without e-mail.
"""

import re
import time
from base64 import b64decode
from dataclasses import replace
from datetime import date

import pyotp
import pytest
from argon2 import PasswordHasher
from pymongo.errors import AutoReconnect

from fhir_server import administering
from fhir_server.access import logins, passwords, recovery, second_factor, users
from fhir_server.access.logins import Given
from fhir_server.fhir.outcome import FhirError
from tests.oauth.browser import asking, forms
from tests.oauth.conftest import BASE, EC, PASSWORD, TOTP, House, code_of_nora
from tests.oauth.systems import ask, claims, signed


async def test_cookies_are_for_this_host_alone_and_for_no_script(house: House) -> None:
    browser = house.browser()
    page = await browser.open(asking(BASE))
    answer = await browser.post(forms(page)["login"], {"username": "amy", "password": PASSWORD})
    given = [*page.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    assert {cookie.split("=")[0] for cookie in given} == {"__Host-form", "__Host-session"}
    for cookie in given:
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)
    assert answer.headers.get_list("set-cookie")[0].startswith("__Host-form="), "both are new after a login"


FOREIGN = {
    "no proof": ("form_token", {}, {}),
    "another proof": ("form_token", {"form_token": "0" * 64}, {}),
    "no cookie": ("", {}, {"cookie": ""}),
    "another origin": ("", {}, {"origin": "https://evil.example"}),
    "sent across sites": ("", {}, {"sec-fetch-site": "cross-site"}),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("form", ["login", "consent", "logout"])
async def test_forms_from_elsewhere_are_refused(house: House, what: str, form: str) -> None:
    without, fields, headers = FOREIGN[what]
    browser = house.browser()
    page = await browser.open(asking(BASE))
    if form != "login":
        page = await browser.log_in(page, "amy")
    if "cookie" in headers:
        browser.http.cookies.clear()
    browser.http.headers.update({name: value for name, value in headers.items() if name != "cookie"})
    typed = {"username": "amy", "password": PASSWORD, "decision": "allow", **fields}
    answer = await browser.post(forms(page)[form], typed, without)
    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert 'role="alert"' in answer.text


async def _person(house: House, login: str) -> None:
    user = replace(users.new(login, ["recipient"], login), subject=f"user-{login}")
    await administering.admit(house.context.authority, user, PASSWORD)


async def test_the_sixth_wrong_login_has_to_wait_also_when_it_is_right(house: House) -> None:
    await _person(house, "lena")
    browser = house.browser()
    page = await browser.open(asking(BASE))
    for _ in range(5):
        answer = await browser.log_in(page, "lena", password="wrong")
        assert answer.status_code == 401
    for password in ("wrong", PASSWORD):
        answer = await browser.log_in(page, "lena", password=password)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "900"
    later = replace(house.context.authority, clock=lambda: time.time_ns() // 1_000 + 901_000_000)
    assert await logins.login(later, Given("lena", PASSWORD)) is not None


async def test_nobody_learns_who_is_known(house: House) -> None:
    """Body, status and headers are the same for an unknown name, and so is the work that is done."""
    await _person(house, "known")
    seen = []
    for name in ("known", "unknown"):
        browser = house.browser()
        page = await browser.open(asking(BASE))
        for _ in range(6):
            answer = await browser.log_in(page, name, password="wrong-password")
            proof = re.compile(r'value="([0-9a-f]{64}|known|unknown)"')
            seen.append((answer.status_code, proof.sub("", answer.text), sorted(answer.headers)))
    assert seen[:6] == seen[6:]


def test_what_a_password_costs_others(costly: PasswordHasher) -> None:
    kept = costly.hash("a-long-password")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_it_takes_as_long_where_there_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[str] = []

    def verified(kept: str, password: str) -> bool:
        worked.append(kept[:9])
        return False

    monkeypatch.setattr(passwords, "_verified", verified)
    await passwords.matches("$argon2id$...", "password")
    await passwords.matches("", "password")
    assert worked == ["$argon2id", "$argon2id"]


async def test_wrong_logins_of_all_are_limited_too(house: House) -> None:
    few = replace(house.context.authority, limits=replace(house.context.authority.limits, wrong_logins_overall=3))
    # A day of its own, so that the other tests' wrong logins are not counted.
    day = replace(few, clock=lambda: 86_400_000_000 * 30_000)
    await house.context.store.passing.remove("wrong", "overall")
    for number in range(3):
        assert await logins.login(day, Given(f"nobody-{number}", "wrong-password")) is None
    with pytest.raises(FhirError) as refused:
        await logins.login(day, Given("nobody-9", "wrong-password"))
    assert refused.value.status == 429
    await house.context.store.passing.remove("wrong", "overall")


async def test_staff_without_a_second_factor_cannot_log_in(house: House) -> None:
    user = users.new("olga", ["employer"], organization="mercy")
    await administering.admit(house.context.authority, user, PASSWORD)
    assert await logins.login(house.context.authority, Given("olga", PASSWORD)) is None


def test_codes_of_the_second_factor() -> None:
    now = 1_700_000_000
    code = pyotp.TOTP(TOTP).at(now)
    assert second_factor.step_of(TOTP, code, now) == now // 30
    assert second_factor.step_of(TOTP, f"{code[:3]} {code[3:]}", now + 30) == now // 30
    assert second_factor.step_of(TOTP, code, now + 90) is None
    assert second_factor.step_of(TOTP, "", now) is None
    assert second_factor.step_of(TOTP, "١٢٣٤٥٦", now) is None


async def test_secrets_of_the_second_factor_are_sealed(house: House) -> None:
    user = await house.context.store.users.find("nora")
    assert user is not None
    assert TOTP not in user.totp
    key = house.context.authority.secret
    assert second_factor.opened(user.totp, key) == TOTP
    assert second_factor.opened(user.totp, bytes(32)) == ""
    assert second_factor.step_of("", "000000", 0) is None


async def test_a_password_is_recovered_through_the_provider(house: House) -> None:
    await _person(house, "amy")
    patient = house.browser()
    assert "consent" in forms(await patient.log_in(await patient.open(asking(BASE)), "amy"))
    nurse = house.browser()
    page = await nurse.http.get("/account/recovery")
    page = await nurse.log_in(page, "nora", await code_of_nora(house))
    found = await nurse.post(forms(page)["recovery"], {"decision": "find", "find": "Larsen"})
    assert forms(found)["recovery"].radios == [("patient", "amy")]
    given = await nurse.post(forms(found)["recovery"], {"decision": "give", "patient": "amy"})
    [code] = re.findall(r'id="recovery-code">([A-Z2-9-]{14})<', given.text)

    form = forms(await patient.http.get("/account/password"))["set-password"]
    short = await patient.post(form, {"username": "amy", "code": code, "password": "short"})
    assert short.status_code == 400
    wrong = await patient.post(form, {"username": "amy", "code": "AAAA-AAAA-AAAA", "password": "new password 1"})
    assert wrong.status_code == 401
    done = await patient.post(form, {"username": "Amy", "code": code.lower(), "password": "new password 1"})
    assert 'role="status"' in done.text
    assert "login" in forms(await patient.open(asking(BASE))), "sessions from before have ended"
    again = await patient.post(form, {"username": "amy", "code": code, "password": "new password 2"})
    assert again.status_code == 401, "the code counts once"
    authority = house.context.authority
    assert await logins.login(authority, Given("amy", "new password 1")) is not None
    await _person(house, "amy")


async def test_only_staff_give_codes_and_only_for_recipients(house: House) -> None:
    browser = house.browser()
    page = await browser.log_in(await browser.open(asking(BASE)), "ruth")
    assert "consent" in forms(page)
    assert (await browser.http.get("/account/recovery")).status_code == 403


async def test_guessing_codes_has_to_wait(house: House) -> None:
    await _person(house, "gina")
    authority = house.context.authority
    user = await authority.users.find("gina")
    assert user is not None
    code = await recovery.give(authority, user)
    for _ in range(5):
        assert not await recovery.redeem(authority, "gina", "AAAA-AAAA-AAAA", "a new password")
    with pytest.raises(FhirError) as refused:
        await recovery.redeem(authority, "gina", code, "a new password")
    assert refused.value.status == 429


async def test_a_disabled_user_is_out_at_once(house: House) -> None:
    await _person(house, "dora")
    browser = house.browser()
    assert "consent" in forms(await browser.log_in(await browser.open(asking(BASE)), "dora"))
    assert await administering.disable_user(house.context.authority, "dora")
    assert "login" in forms(await browser.open(asking(BASE)))
    assert (await browser.log_in(await browser.open(asking(BASE)), "dora")).status_code == 401


async def test_what_an_app_is_called_is_only_text(house: House) -> None:
    from fhir_server.access.clients import registered

    name = '<script>alert(1)</script>"'
    entry = {"id": "evil", "name": name, "redirect_uris": ["https://evil.example/cb"], "scopes": "patient/*.rs"}
    await house.context.store.clients.put(registered(entry))
    page = await house.browser().open(asking(BASE, "evil", redirect_uri="https://evil.example/cb", state=name))
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_a_child_grown_up_is_no_longer_acted_for(house: House) -> None:
    user = await house.context.store.users.find("ruth")
    assert user is not None
    grown = users.adult_on(date(2019, 5, 5))
    assert users.patients(user, grown - 1) == {"ruth", "kim"}
    assert users.patients(user, grown) == {"ruth"}
    assert users.adult_on(date(2004, 2, 29)) == 1_646_092_800_000_000


async def _logged(house: House, patient: str) -> list[tuple[str, str, str]]:
    """Who did what to this patient, and what was asked: the access log, oldest first."""
    async with house.http() as http:
        token = (await ask(http, signed(EC, claims("steward")), "system/*.rs")).json()["access_token"]
        address = f"/fhir/AuditEvent?patient=Patient/{patient}&altid:not=steward&_sort=date&_count=1000"
        answer = await http.get(address, headers={"authorization": f"Bearer {token}"})
    found = [entry["resource"] for entry in answer.json().get("entry", ())]
    asked = [
        "".join(b64decode(entity.get("query", "")).decode() for entity in event.get("entity", ())) for event in found
    ]
    return [
        (event["subtype"][0]["code"], next(str(each["who"]) for each in event["agent"] if each["requestor"]), query)
        for event, query in zip(found, asked, strict=True)
    ]


async def test_whom_the_pages_show_finds_it_in_the_access_log(house: House) -> None:
    await _person(house, "amy")
    nurse, nora = house.browser(), "{'reference': 'Practitioner/nora'}"
    page = await nurse.log_in(await nurse.open(asking(BASE)), "nora", await code_of_nora(house))
    before, of_ruth = len(await _logged(house, "amy")), len(await _logged(house, "ruth"))
    await nurse.post(forms(page)["consent"], {"decision": "find", "find": "larsen"})
    [found] = (await _logged(house, "amy"))[before:]
    assert found == ("search-type", nora, "POST /oauth/consent?find=larsen")
    page = await nurse.http.get("/account/recovery")
    page = await nurse.post(forms(page)["recovery"], {"decision": "find", "find": "larsen"})
    await nurse.post(forms(page)["recovery"], {"decision": "give", "patient": "amy"})
    assert (await _logged(house, "amy"))[before + 1 :] == [
        ("search-type", nora, "POST /account/recovery?find=larsen"),
        ("operation", nora, "POST /account/recovery"),
    ]
    assert len(await _logged(house, "ruth")) == of_ruth
    # What a parent is shown of a child is in the child's log, too.
    before = len(await _logged(house, "kim"))
    parent = house.browser()
    assert "Kim" in (await parent.log_in(await parent.open(asking(BASE)), "ruth")).text
    [seen] = (await _logged(house, "kim"))[before:]
    assert seen[:2] == ("search-type", "{'identifier': {'value': 'user-ruth'}}")
    await _person(house, "amy")


async def test_a_page_that_cannot_be_logged_shows_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = house.browser()
    page = await browser.open(asking(BASE))

    async def away(documents: object) -> None:
        raise AutoReconnect("away")

    monkeypatch.setattr(house.context.store.trail, "_insert", away)
    answer = await browser.log_in(page, "ruth")
    assert answer.status_code == 503
    assert "Whitfield" not in answer.text
