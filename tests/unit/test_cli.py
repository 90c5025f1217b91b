from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from gateway.errors import ProviderError, ResourceError

ECHO = "plugs: {echo: {kind: echo}}\nroutes: [{to: echo, plug: echo}]\ntrunks: [{name: a, from: [127.0.0.0/8]}]\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(ECHO)
    return str(path)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Stands for the daemon: remembers what it was started with, and ends as told."""
    seen = types.SimpleNamespace(config=None, status=0, error=None)

    async def run(config: Any) -> int:
        seen.config = config
        if seen.error is not None:
            raise seen.error
        return int(seen.status)

    module = types.ModuleType("gateway.daemon.app")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway.daemon.app", module)
    monkeypatch.setattr("gateway.daemon.app", module, raising=False)
    monkeypatch.setattr("gateway.daemon.logs.configure", lambda options: setattr(seen, "log", options))
    return seen


@pytest.mark.parametrize("command", ["run", "check", "call", "calls", "turns", "providers", "models", "demo"])
def test_every_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  linecard {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dial"],
        ["run", "a", "b"],
        ["call"],
        ["models", "--port", "x"],
        ["models", "--port", "70000"],
        ["check", "--nope"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("linecard")


@pytest.mark.parametrize("command", ["run", "check", "demo"])
def test_a_wrong_configuration_ends_with_2_and_shows_every_problem(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("sipp: {}\nlog: {level: loud}\n")
    assert cli.main([command, str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(": ")[0] for line in err.splitlines()] == [f"{path}:1", f"{path}:2"]


def test_a_configuration_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "/nowhere/c.yaml"]) == 2
    assert capsys.readouterr().err == "/nowhere/c.yaml: cannot be read: No such file or directory\n"


def test_check_prints_the_addresses(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", config]) == 0
    out = capsys.readouterr().out
    assert f"{config}: valid" in out
    assert "Contact and Via  127.0.0.1:5060" in out


def test_run_hands_the_configuration_to_the_daemon(config: str, daemon: types.SimpleNamespace) -> None:
    daemon.status = 0
    assert cli.main(["run", config]) == 0
    assert daemon.config.routes[0].to == "echo"
    assert daemon.log.redact is True


def test_redaction_can_be_overruled(config: str, daemon: types.SimpleNamespace) -> None:
    assert cli.main(["run", "--no-redact", config]) == 0
    assert daemon.log.redact is False


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ResourceError("no port left"), 1, "linecard: no port left"),
        (ProviderError("acme", "bad key", transient=False), 1, "linecard: acme: bad key"),
        (OSError(98, "Address already in use"), 1, "linecard: Address already in use"),
        (PermissionError(13, "Permission denied", "/var/x"), 1, "linecard: Permission denied: /var/x"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_failure_is_one_line(
    config: str,
    daemon: types.SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    line: str,
) -> None:
    daemon.error = error
    assert cli.main(["run", config]) == status
    assert capsys.readouterr().err.strip() == line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--token-delay", "40"], "--token-delay: '40' is not a duration"),
        (["--stt-threads", "0"], "--stt-threads: Input should be greater"),
    ],
)
def test_a_wrong_model_option_ends_with_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", *arguments]) == 2
    assert capsys.readouterr().err.startswith(expected)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom gateway import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'yaml', 'uvloop', 'structlog', 'websockets'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.startswith("linecard ")
