"""The generated files are fresh, and what is shipped obeys both the loader and the schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.config import Config, load
from gateway.config.addresses import warnings
from gateway.config.reference import DOCUMENT, SCHEMA, json_schema, markdown

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))


@pytest.fixture(autouse=True)
def groups() -> None:
    """The kinds that are really registered."""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


def test_the_schema_is_fresh(schema: dict[str, Any]) -> None:
    assert json.loads((ROOT / SCHEMA).read_text()) == schema, "stale: run `make docs`"


def test_the_document_is_fresh() -> None:
    assert (ROOT / DOCUMENT).read_text() == markdown(), "stale: run `make docs`"


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_key_is_documented() -> None:
    rows = [line.split("|") for line in markdown().splitlines() if line.startswith("| `")]
    undocumented = [row[1].strip() for row in rows if not row[4].strip()]
    assert undocumented == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_is_shipped_is_valid(path: Path, schema: dict[str, Any]) -> None:
    config = load(path, {})
    assert warnings(config) == []
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_is_commented_out_is_valid_too(path: Path, tmp_path: Path) -> None:
    """The lines for a real trunk replace the one above, so they are tried one at a time."""
    lines = path.read_text().splitlines()
    options = [number for number, line in enumerate(lines) if re.match(r" +# (- |\w+: )", line)]
    for number in options:
        tried = [*lines[:number], lines[number].replace("# ", "", 1), *lines[number + 1 :]]
        (tmp_path / "tried.yaml").write_text("\n".join(tried))
        assert isinstance(load(tmp_path / "tried.yaml", {"MODELS_TOKEN": "x"}), Config), lines[number]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sipp": {}},
        {"plugs": {"p": {"kind": "pipelin"}}},
        {"plugs": {"p": {"kind": "echo", "colour": "red"}}},
        {"plugs": {"p": {"kind": "pipeline"}}},
        {"media": {"rtp_timeout": 30}},
        {"routes": [{"to": 100, "plug": "x"}]},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(wrong: dict[str, Any], schema: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)
