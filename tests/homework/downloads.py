"""Bulk downloads as Moodle and Canvas make them, and the tables that they take marks back in."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path


def notebook(said: str = "") -> bytes:
    """The smallest notebook, with a word in it."""
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": said}
    whole = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole).encode()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    """A zip archive of these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    """A symbolic link, as `zip --symlinks` stores one."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


MOODLE = {
    "Ada Lovelace_1000001_assignsubmission_file/hw1.ipynb": notebook("ada"),
    "Jörg Müller_1000002_assignsubmission_file_/hw1.ipynb": notebook("jörg"),
    "Siobhán OBrien_1000003_assignsubmission_file_hw1.ipynb": notebook("siobhán"),
    "María del Mar Ruiz_1000004_assignsubmission_file/hw1 (1).ipynb": notebook("maría"),
    "Jean-Luc Le Goff_1000005_assignsubmission_file/HW1.ipynb": notebook("jean"),
    "Jean-Luc Le Goff_1000005_assignsubmission_file/helpers.py": b"x = 1\n",
    "Jean-Luc Le Goff_1000005_assignsubmission_onlinetext/onlinetext.html": b"<p>Hello</p>",
    "Max_Emil Sørensen_1000006_assignsubmission_file/my_homework.ipynb": notebook("max"),
    "李 小龙_1000007_assignsubmission_file/work/hw1.ipynb": notebook("li"),
}
"""The forms of all versions, in one archive."""
MOODLE_TAKEN = {
    "ada-lovelace": "ada",
    "jörg-müller": "jörg",
    "siobhán-obrien": "siobhán",
    "maría-del-mar-ruiz": "maría",
    "jean-luc-le-goff": "jean",
    "max_emil-sørensen": "max",
    "李-小龙": "li",
}

CANVAS = {
    "lovelaceada_101_9001_hw1.ipynb": notebook("ada"),
    "müllerjörg_LATE_102_9002_hw1-2.ipynb": notebook("jörg"),
    "obriensiobhán_103_9003_hw1.ipynb": notebook("old"),
    "obriensiobhán_103_9017_hw1-1.ipynb": notebook("siobhán"),
    "ruizmaríadelmar_104_text.html": b"<p>see my mail</p>",
    "legoffjeanluc_105_9005_hw1.ipynb": notebook("jean"),
    "legoffjeanluc_105_9006_my_helpers.py": b"x = 1\n",
    "anon_x7Rt2_9007_hw1.ipynb": notebook("nobody"),
    "LATE_anon_12345_9008_hw1.ipynb": notebook("late nobody"),
    "sørensenmax_107_9009_hw_1_final.ipynb": notebook("max"),
}
CANVAS_TAKEN = {
    "lovelaceada-101": "ada",
    "müllerjörg-102": "jörg",
    "obriensiobhán-103": "siobhán",
    "legoffjeanluc-105": "jean",
    "anon_x7rt2": "nobody",
    "anon_12345": "late nobody",
    "sørensenmax-107": "max",
}

WORKSHEET = (
    'Identifier,"Full name","Email address",Status,Group,Grade,"Maximum grade",'
    '"Grade can be changed","Last modified (submission)","Last modified (grade)",'
    '"Feedback comments"\r\n'
    '"Participant 1000001","Ada Lovelace",ada@uni.example,"Submitted for grading",Red,,13.00,Yes,'
    '"Monday, 2 November 2026, 10:15 AM",-,\r\n'
    '"Participant 1000002","Jörg Müller",j.mueller@uni.example,"Submitted for grading",Blue,,13.00,'
    "Yes,-,-,\r\n"
    '"Participant 1000003","Siobhán O\'Brien",obrien@uni.example,"No submission",Blue,"4.00",13.00,'
    'Yes,-,-,"He said ""well"",\nand left"\r\n'
)
GRADEBOOK = (
    "Student,ID,SIS User ID,SIS Login ID,Section,HW1 (5501),HW2 (5502),Current Score\n"
    ",,,,,Manual Posting,,\n"
    "    Points Possible,,,,,13.00,14.00,(read only)\n"
    '"Lovelace, Ada",101,s101,ada,A,,3.00,12\n'
    '"Müller, Jörg",102,s102,jm77,"A, and B",,,\n'
    '"O\'Brien, Siobhán",103,s103,obrien,B,EX,,\n'
)
