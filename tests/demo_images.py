"""Fetches 16 real chest X-rays at original size into a folder: `python -m tests.demo_images FOLDER`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.wheels import pictures_of

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
    print("getting 16 chest X-rays (a download of 83 MB, once) …", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name, "pictures")
        partial.mkdir()
        try:
            for member, data in pictures_of(REQUIREMENT):
                if member.suffix == ".jpeg":
                    (partial / member.name).write_bytes(data)
        except subprocess.CalledProcessError:
            sys.exit("demo: the pictures could not be downloaded (see above). Is there a network, and disk space?")
        (partial / "ATTRIBUTION.txt").write_text(ATTRIBUTION + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
    print(ATTRIBUTION, file=sys.stderr)
