"""Certificates for servers of tests."""

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["self_signed"]


def self_signed(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A key, and a certificate for localhost and 127.0.0.1 that it signed itself; skips the test where there is no openssl."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl is not installed")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([openssl, *kind, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return key, certificate
