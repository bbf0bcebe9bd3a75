"""How pictures that can be decoded begin, and whether a file does."""

import os

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
"""What files of these kinds begin with."""


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file, and it begins as a JPEG or PNG does; nothing is read from pipes.

    Raises:
        OSError: there is a file, but it cannot be read.
    """
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(PNG)).startswith((JPEG, PNG))
