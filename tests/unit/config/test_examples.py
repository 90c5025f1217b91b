"""The examples for carriers are valid, as `linecard check` tells, and calls come in and go out by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway import cli
from gateway.config import load
from gateway.config.addresses import warnings
from gateway.config.reference import json_schema

EXAMPLES = sorted((Path(__file__).parents[3] / "config/examples").glob("*.yaml"))
LOGIN = "login: {user: u, password: p}"
SECRETS = ("TWILIO_PASSWORD", "TELNYX_PASSWORD", "ASTERISK_PASSWORD", "LINECARD_PASSWORD")


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds that are really registered."""
    for name in SECRETS:
        monkeypatch.setenv(name, "secret")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


def test_there_is_one_for_each_carrier_that_we_promise() -> None:
    promised = ["asterisk", "bandwidth", "five9", "kamailio", "teams-sbc", "telnyx", "twilio"]
    assert [path.stem for path in EXAMPLES] == promised


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_valid(path: Path, schema: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(path)]) == 0
    assert "secret" not in capsys.readouterr().out
    config = load(path)
    assert warnings(config) == []
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    (trunk,) = config.trunks
    assert trunk.takes_calls
    assert trunk.reached_at


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trunks: [{name: a, from: [10.0.0.0/8], codecs: [g729]}]", "'g729' is not served"),
        ("trunks: [{name: a, tls_names: [x.example]}]", "verify_client"),
        (
            "trunks: [{name: a, login: {user: u, password: p}}, {name: b, login: {user: u, password: p}}]",
            "is that of trunk",
        ),
        ("trunks: [{name: a}]", "nothing tells whose calls these are"),
        ("trunks: [{name: a, from: [10.0.0.0/8], numbers: {region: XX}}]", "is no region"),
        ("plugs: {p: {kind: echo}}\nroutes: [{to: '*', plug: p, trunks: [b]}]", "there is no trunk 'b'"),
    ],
)
def test_what_cannot_work_is_found(tmp_path: Path, text: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "linecard.yaml").write_text(text)
    assert cli.main(["check", str(tmp_path / "linecard.yaml")]) == 2
    assert problem in capsys.readouterr().err
