"""The solutions and hidden tests of the homework, locked with a word into one file.

The word becomes a key by scrypt, and Fernet (AES and a checksum, of the library `cryptography`)
locks with it. INSTRUCTORS.md says from what this protects.
"""

from __future__ import annotations

import base64
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

MAGIC = b"gradwidgets homework 1\n"
PATTERNS = ("source/*/*.ipynb", "tests/*.py")
"""What is locked: the notebooks that nbgrader releases from, and functions that its tests try."""


def lock(files: Mapping[str, bytes], word: str) -> bytes:
    """Lock files with a word.

    Args:
        files: contents by their names, with / between folders.
        word: what opens them.

    Raises:
        ValueError: the word is empty, or a name is not one of the homework's.

    >>> locked = lock({"source/hw1/hw1.ipynb": b"{}"}, "a word")
    >>> b"hw1" in locked, unlock(locked, "a word")
    (False, {'source/hw1/hw1.ipynb': b'{}'})
    """
    if not word.strip():
        raise ValueError("the word is empty")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(_checked(name)), files[name], zipfile.ZIP_DEFLATED)
    salt = base64.b64encode(os.urandom(16))
    return MAGIC + salt + b"\n" + _fernet(word, salt).encrypt(packed.getvalue()) + b"\n"


def unlock(content: bytes, word: str) -> dict[str, bytes]:
    """The files that were locked, by their names.

    Raises:
        ValueError: this is no archive of homework, or the word does not open it.

    >>> unlock(lock({"source/hw1/hw1.ipynb": b"{}"}, "a word"), "another")
    Traceback (most recent call last):
    ValueError: the word does not open it, or the file is damaged
    """
    from cryptography.fernet import InvalidToken

    if not content.startswith(MAGIC):
        raise ValueError("this is no archive of homework")
    salt, _, token = content.removeprefix(MAGIC).partition(b"\n")
    try:
        packed = _fernet(word, salt).decrypt(token.strip())
    except InvalidToken:
        raise ValueError("the word does not open it, or the file is damaged") from None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {_checked(name): archive.read(name) for name in archive.namelist()}


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a course's folder that are locked: see `PATTERNS`.

    Raises:
        ValueError: there is none.

    >>> files_of(Path("nowhere"))
    Traceback (most recent call last):
    ValueError: nowhere holds no homework: no source/*/*.ipynb
    """
    paths = [path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()]
    if not any(path.suffix == ".ipynb" for path in paths):
        raise ValueError(f"{folder} holds no homework: no {PATTERNS[0]}")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _checked(name: str) -> str:
    """The name, if it is one of the homework's: nothing is written elsewhere."""
    if ".." in name or not any(PurePosixPath(name).match(pattern) for pattern in PATTERNS):
        raise ValueError(f"{name!r} is no file of homework")
    if name.startswith(("/", "\\")) or PurePosixPath(name).parts[0] not in ("source", "tests"):
        raise ValueError(f"{name!r} is no file of homework")
    return name


def _fernet(word: str, salt: bytes) -> Fernet:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    key = Scrypt(salt=base64.b64decode(salt), length=32, n=2**15, r=8, p=1).derive(word.encode())
    return Fernet(base64.urlsafe_b64encode(key))
