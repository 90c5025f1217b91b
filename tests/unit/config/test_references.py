from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Config, load
from gateway.errors import ConfigError
from tests.unit.config.conftest import AcmeOptions

Problems = Callable[..., list[str]]
Good = Callable[..., Config]


def options(config: Config) -> AcmeOptions:
    found = config.providers["a"].options
    assert isinstance(found, AcmeOptions)
    return found


def test_environment_is_put_into_any_text(good: Good) -> None:
    config = good(
        "providers: {a: {kind: acme, url: 'ws://${HOST}:${PORT}/', token: '${KEY}'}}", HOST="h", PORT="1", KEY="k"
    )
    assert options(config).url == "ws://h:1/"
    assert options(config).token.get_secret_value() == "k"  # type: ignore[union-attr]


def test_a_doubled_dollar_is_a_dollar(good: Good) -> None:
    assert options(good("providers: {a: {kind: acme, url: '$${HOST} $5'}}")).url == "${HOST} $5"


def test_a_variable_is_text_that_may_be_a_number(good: Good) -> None:
    assert options(good("providers: {a: {kind: acme, url: x, port: '${PORT}'}}", PORT="7")).port == 7


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("${NOPE}", "1: providers.a.url: environment variable NOPE is not set; set it, or write the value here"),
        ("${NO PE}", "1: providers.a.url: ${NO PE} is not the name of an environment variable"),
    ],
)
def test_a_variable_that_is_not_there(problems: Problems, reference: str, expected: str) -> None:
    told = problems(f"providers: {{a: {{kind: acme, url: '{reference}'}}}}")
    assert told[0].startswith(expected)
    assert len(told) == 1


def test_a_secret_file_is_read_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "c.yaml").write_text("providers: {a: {kind: acme, url: x, token: {file: key}}}")
    assert options(load(tmp_path / "c.yaml", {})).token.get_secret_value() == "s3cret"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 70_000, "larger than"),
    ],
)
def test_a_secret_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    (tmp_path / "c.yaml").write_text("providers: {a: {kind: acme, url: x, token: {file: key}}}")
    with pytest.raises(ConfigError, match=expected) as caught:
        load(tmp_path / "c.yaml", {})
    assert caught.value.problems[0].startswith(f"{tmp_path}/c.yaml:1: providers.a.token: secret file")


def test_a_file_reference_where_no_secret_is_wanted(problems: Problems) -> None:
    told = problems("providers: {a: {kind: acme, url: {file: key}}}")
    assert told[0].startswith("1: providers.a.url: must be a text")


@pytest.mark.parametrize(
    "text",
    [
        "providers: {a: {kind: acme, url: x, port: '${KEY}'}}",
        "providers: {a: {kind: acme, url: x, token: 1234567}}",
        "sip: {listen: '${KEY}'}",
        "media: {rtp_timeout: '${KEY}'}",
        "log: {level: '${KEY}'}",
        "trunks: [{name: a, from: ['${KEY}']}]",
    ],
)
def test_no_problem_shows_what_a_secret_holds(problems: Problems, text: str) -> None:
    assert "1234567" not in "\n".join(problems(text, KEY="s 1234567 !"))


def test_a_configuration_prints_no_secret(good: Good) -> None:
    config = good("providers: {a: {kind: acme, url: x, token: '${KEY}'}}", KEY="s3cret")
    assert "s3cret" not in repr(config) + str(config.providers["a"].options.model_dump())
