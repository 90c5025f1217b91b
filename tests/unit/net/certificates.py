"""Certificates for tests, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


class Authority:
    """Signs what it is asked to."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        _run("req", "-x509", *_KEY, self._key, "-out", self.certificate, "-subj", f"/CN={name}", "-days", "2")

    def issue(self, name: str, alternative: str = "") -> tuple[Path, Path]:
        """Certificate and key. ``alternative`` is like ``DNS:a.example,URI:sip:b.example``."""
        key, request, certificate = (self._directory / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        _run("req", *_KEY, key, "-out", request, "-subj", f"/CN={name}")
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
        by = ["-CA", self.certificate, "-CAkey", self._key, "-set_serial", str(hash(name) % 10**9)]
        _run("x509", "-req", "-in", request, *by, "-out", certificate, "-days", "2", "-extfile", extensions)
        return certificate, key

    def options(self, name: str, alternative: str = "IP:127.0.0.1", **more: object) -> dict[str, object]:
        """The block ``sip.tls`` with a new certificate, and this authority as the only root."""
        certificate, key = self.issue(name, alternative)
        return {"certificate": certificate, "key": key, "ca": self.certificate, **more}


_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"]


def _run(*arguments: object) -> None:
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
