"""The files of a bulk download, each with the student that its name tells.

The forms are those of the two systems' own sources. Moodle (`mod/assign`, its downloader) writes
`Full Name_1234567_assignsubmission_file/hw1.ipynb`; before version 3.1, or where a teacher has set
so, all in one folder as `Full Name_1234567_assignsubmission_file_hw1.ipynb`. The number is the
participant's in this assignment, not in the course. A group is named in place of a student.
Canvas (its `content_zipper`) writes `lastnamefirstname_LATE_12345_67890_hw1.ipynb`: the name
squeezed, LATE if it was, the student's number in the course, the file's own number; anonymous
students are `anon_` and five letters. Where a file has been handed in again, Canvas names it
`hw1-1.ipynb`, `hw1-2.ipynb`.
"""

from __future__ import annotations

import contextlib
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from zipfile import ZipFile, ZipInfo

FILE_LIMIT = 20_000_000
"""Bytes of one unpacked file. A notebook with many pictures has 5 MB."""
MOODLE = re.compile(
    r"(?P<name>.+?)(?:_(?P<id>\d+))?_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?"
)
CANVAS = re.compile(
    r"(?P<name>(?!(?:LATE_)?anon_).+?)?(?:(?:^|_)(?P<late>LATE|late))?(?:^|_)(?P<id>\d+|anon_[A-Za-z0-9]+)"
    r"_(?:(?P<number>\d+)_(?P<file>.+)|(?:text|link)\.html)"
)
LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What operating systems put into archives."""
UNKNOWN = "its name is neither of Moodle's form nor of Canvas's"


@dataclass(frozen=True)
class Handed:
    """One file of a download.

    Args:
        member: its entry in the archive.
        path: its name there, as one reads it.
        name: the student's or the group's, as the file name has it.
        number: the student's, or "".
        file: the name that the student gave the file.
        order: grows with each upload; 0 where the download does not tell.
        late: if the download says so.
        canvas: if it is Canvas's number, which is the student's in the whole course.
    """

    member: ZipInfo
    path: str
    name: str
    number: str
    file: str
    order: int = 0
    late: bool = False
    canvas: bool = False


def listing(archive: ZipFile) -> tuple[list[Handed], dict[str, str]]:
    """The files of students, and what else is there, with the reason why it is left out."""
    handed, left_out = [], {}
    for member in archive.infolist():
        path = _readable(member)
        parts = PurePosixPath(path).parts
        if member.is_dir() or not parts or any(part in LITTER for part in parts):
            continue
        found = _moodle(member, path) or _canvas(member, path)
        reason = _unsafe(member, path) or ("" if found else UNKNOWN)
        if reason or found is None:
            left_out[path] = reason
        else:
            handed.append(found)
    return handed, left_out


def content(archive: ZipFile, handed: Handed) -> bytes:
    """The bytes of a file.

    Raises:
        ValueError: it is too large, whatever the archive says of its size, or damaged.
    """
    try:
        with archive.open(handed.member) as file:
            found = file.read(FILE_LIMIT + 1)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error
    if len(found) > FILE_LIMIT:
        raise ValueError(f"it is larger than {FILE_LIMIT // 1_000_000} MB")
    return found


def _readable(member: ZipInfo) -> str:
    """A member's name; of archives that do not say that it is UTF-8, too."""
    name = member.filename
    if not member.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _unsafe(member: ZipInfo, path: str) -> str:
    if stat.S_ISLNK(member.external_attr >> 16):
        return "it is a link, not a file"
    if path.startswith("/") or re.match("[A-Za-z]:", path) or ".." in path.split("/"):
        return "its name leads out of the folder"
    return "it is encrypted" if member.flag_bits & 1 else ""


def _moodle(member: ZipInfo, path: str) -> Handed | None:
    parts = path.split("/")
    for index, part in enumerate(parts):
        match = MOODLE.fullmatch(part)
        if not match:
            continue
        below = parts[index + 1 :]
        file = "/".join(below) if below else match["file"]
        if match["kind"] != "file":  # a text typed into Moodle, for one
            file = f"{match['kind']}/{file}"
        return Handed(member, path, match["name"], match["id"] or "", file) if file else None
    return None


def _canvas(member: ZipInfo, path: str) -> Handed | None:
    match = CANVAS.fullmatch(path.rpartition("/")[2])
    if not match:
        return None
    return Handed(
        member,
        path,
        name=match["name"] or "",
        number=match["id"],
        file=match["file"] or "a text or a link, typed into Canvas",
        order=int(match["number"] or 0),
        late=bool(match["late"]),
        canvas=True,
    )


def notebooks(files: list[Handed]) -> Iterator[Handed]:
    """Those that are called so."""
    yield from (each for each in files if each.file.lower().endswith(".ipynb"))


def stem(file: str) -> str:
    """A notebook's name without its folder, its ending, and the mark of a version.

    >>> stem("work/HW1-2.ipynb"), stem("hw1 (1).ipynb")
    ('hw1', 'hw1')
    """
    name = file.rpartition("/")[2].lower().removesuffix(".ipynb")
    return re.sub(r"(-\d+|\s*\(\d+\))+$", "", name).strip()
