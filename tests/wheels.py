"""Pictures out of packages of the Python package index, which are downloaded, verified, and not installed."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SUFFIXES = (".jpeg", ".jpg", ".png")
# Whatever runs this, so that it is always the file whose hash is known.
BUILD = (
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=none",
    "--platform=manylinux_2_28_x86_64",
)


def pictures_of(requirement: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Names and bytes of the pictures in a package, given as its version and the hash of its wheel.

    Raises:
        subprocess.CalledProcessError: it cannot be had; pip has said why.
    """
    with tempfile.TemporaryDirectory() as name:
        requirements = Path(name, "requirements.txt")
        requirements.write_text(requirement)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *BUILD]
        command += ["--require-hashes", "--dest", name, "--requirement", str(requirements)]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(name).glob("*.whl"))) as wheel:
            for member in map(PurePosixPath, wheel.namelist()):
                if member.suffix.lower() in SUFFIXES:
                    yield member, wheel.read(str(member))
