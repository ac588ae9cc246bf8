"""Self-signed certificates for tests of TLS."""

import subprocess
from pathlib import Path


def self_signed(directory: Path, names: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """Return the PEM files of a certificate of 127.0.0.1 and of its key, made in `directory`.

    `names` are what else it is of, as OpenSSL writes them.
    """
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=framewire"
    command += f" -addext subjectAltName={names}"
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return certificate, key
