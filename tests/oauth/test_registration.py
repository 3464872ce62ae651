"""https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr

What may be registered, the file that is read at a start, and the commands.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fhir_server.access import registration, users
from fhir_server.access.clients import registered, secret_digest
from fhir_server.cli import app
from tests.oauth.conftest import BASE, EC, KEYS, House

APP = {"id": "app", "redirect_uris": ["https://app.example/cb"], "scopes": "patient/*.rs"}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({"id": ""}, "made of letters"),
    "a user's id": ({"id": "user-1"}, "made of letters"),
    "a word nobody knows": ({"redirects": []}, "has no 'redirects'"),
    "plain http": ({"redirect_uris": ["http://app.example/cb"]}, "a redirect URI is https"),
    "a wildcard": ({"redirect_uris": ["https://*.example/cb"]}, "a redirect URI is https"),
    "a fragment": ({"redirect_uris": ["https://app.example/#x"]}, "a redirect URI is https"),
    "a scheme without a point": ({"redirect_uris": ["javascript:alert(1)"]}, "a redirect URI is https"),
    "no address": ({"redirect_uris": ["https://[x"]}, "is no address"),
    "two ways to authenticate": ({"jwks": KEYS, "secret_sha256": "0" * 64}, "by one of"),
    "a secret itself": ({"secret_sha256": "secret"}, "64 hexadecimal digits"),
    "a private key": ({"jwks": {"keys": [{**EC.as_dict(private=True), "kid": "x"}]}}, "private key"),
    "a key without an id": ({"jwks": {"keys": [{"kty": "EC"}]}}, "every key has a kid"),
    "no keys": ({"jwks": {"keys": []}}, "a list of keys"),
    "keys over http": ({"jwks_uri": "http://app.example/jwks.json"}, "begins with https"),
    "an unknown role": ({"role": "king", "jwks": KEYS}, "its role is one of"),
    "a system that proves nothing": ({"role": "registry"}, "authenticates"),
    "neither app nor system": ({"redirect_uris": []}, "needs redirect_uris"),
    "a number": ({"name": 7}, "is a text"),
    "one redirect, not a list": ({"redirect_uris": "https://app.example/cb"}, "is a list of texts"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_registered(wrong: str) -> None:
    more, sentence = WRONG[wrong]
    with pytest.raises(ValueError, match=sentence):
        registered({**APP, **more})


def test_what_can_be_registered() -> None:
    redirects = ["https://app.example/cb?x=1", "http://127.0.0.1:80/cb", "http://[::1]/cb", "com.example.app:/cb"]
    app = registered({**APP, "redirect_uris": redirects, "origins": ["https://web.example"]})
    assert (app.method, app.name) == ("none", "app")
    assert app.origins == ("https://web.example", "https://app.example", "http://127.0.0.1:80", "http://[::1]")
    system = registered({"id": "s", "role": "registry", "jwks_uri": "https://s.example/k", "scopes": "system/*.rs"})
    assert system.method == "private_key_jwt"


TOML = """
[[client]]
id = "from-toml"
name = "From a file"
redirect_uris = ["https://app.example/cb"]
scopes = "launch/patient patient/*.rs"
"""


async def test_the_file(house: House, tmp_path: Path) -> None:
    clients = house.context.store.clients
    file = tmp_path / "clients.toml"
    file.write_text(TOML)
    await registration.apply(clients, registration.read(file))
    assert await clients.disable("from-toml")
    file = tmp_path / "clients.json"
    file.write_text(json.dumps({"client": [{**APP, "id": "from-toml", "name": "Changed"}]}))
    await registration.apply(clients, registration.read(file))
    found = await clients.find("from-toml")
    assert found is not None
    assert (found.name, found.enabled) == ("Changed", False), "who was disabled stays so"


FILES = {
    "no TOML": ("clients.toml", "[["),
    "no JSON": ("clients.json", "{"),
    "another list": ("clients.toml", "[[clients]]\nid = 'x'"),
    "something besides": ("clients.toml", TOML + "\n[other]\nx = 1"),
    "the same twice": ("clients.toml", TOML + TOML),
    "a wrong client": ("clients.toml", "[[client]]\nid = 'x'"),
}


@pytest.mark.parametrize("what", FILES)
def test_files_that_are_refused_name_themselves(tmp_path: Path, what: str) -> None:
    name, text = FILES[what]
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        registration.read(file)


USERS: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"login": " ", "roles": ["analyst"]}, "login name"),
    "no role": ({"login": "ann", "roles": []}, "roles are of"),
    "an unknown role": ({"login": "ann", "roles": ["registry"]}, "roles are of"),
    "a recipient without a patient": ({"login": "ann", "roles": ["recipient"]}, "bound to a Patient"),
    "an analyst with a patient": ({"login": "ann", "roles": ["analyst"], "patient": "p"}, "nobody else"),
    "a provider without a practice": ({"login": "ann", "roles": ["provider"], "practitioner": "x"}, "Organization"),
    "an employer of nobody": ({"login": "ann", "roles": ["employer"]}, "Organization"),
    "an id that is none": ({"login": "ann", "roles": ["recipient"], "patient": "a/b"}, "no id"),
}


@pytest.mark.parametrize("wrong", USERS)
def test_users_that_cannot_be(wrong: str) -> None:
    given, sentence = USERS[wrong]
    with pytest.raises(ValueError, match=sentence):
        users.new(**given)


async def test_the_commands_beside_a_running_server(house: House) -> None:
    data = ("--data", str(house.settings.data), "--base-url", BASE)

    async def command(*words: str) -> tuple[int, str]:
        # In a thread, for a command has an event loop of its own.
        ran = await asyncio.to_thread(CliRunner().invoke, app, [*words, *data], env={"MONGODB_URI": house.uri})
        return ran.exit_code, ran.output

    staff = ("--role", "provider", "--practitioner", "n", "--organization", "o")
    status, said = await command("users", "add", "Nina", *staff)
    assert status == 0, said
    assert "one-time code" in said
    assert "otpauth://totp/" in said
    user = await house.context.store.users.find("nina")
    assert user is not None and user.totp and not user.password
    scopes = ("--scopes", "patient/*.rs", "--redirect-uri", "https://app.example/cb", "--secret")
    added, told = await command("clients", "add", "app-1", *scopes)
    assert added == 0, told
    [secret] = re.findall(r"shown once\): (\S{43})", told)
    client = await house.context.store.clients.find("app-1")
    assert client is not None
    assert client.secret == secret_digest(secret)
    assert (await command("clients", "disable", "app-1"))[0] == 0
    assert "disabled" in (await command("clients", "list"))[1]
    assert (await command("users", "disable", "nobody"))[0] == 1
    assert (await command("clients", "launch", "growth-chart", "--patient", "amy"))[1].startswith(
        "https://app.example/"
    )


def test_a_command_says_what_is_wrong(tmp_path: Path) -> None:
    words = ("clients", "add", "app", "--scopes", "x", "--redirect-uri", "http://a.example/", "--data", str(tmp_path))
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 1
    assert "a redirect URI is https" in ran.output
    assert list(tmp_path.iterdir()) == []
