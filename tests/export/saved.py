"""Reads a saved page as its program does, by code of its own."""

import base64
import gzip
import itertools
import json
from html.parser import HTMLParser

import numpy as np


class Reader(HTMLParser):
    """Elements with their attributes, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.scripts = []
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        inside = self.cdata_elem == "script"
        (self.scripts if inside else self.words).append(data)


class SavedPage:
    """What a page holds of each run, by where its dials stand.

    Attributes:
        numbers: the run at each place.
        sentences, heard, rows: the words of each run.
        updates, diverged, applies, heights, unstable: of each run.
        curves: for each panel the tables of codes.
    """

    def __init__(self, text):
        self.reader = Reader(text)
        self.data = json.loads(self.reader.scripts[0])
        content = gzip.decompress(base64.b64decode(self.data["packed"]))
        tables = []
        for rows, columns in self.data["shapes"]:
            size = rows * columns
            low, high = (
                np.frombuffer(content[n * size : (n + 1) * size], np.uint8) for n in (0, 1)
            )
            steps = (low.astype(np.uint16) + 256 * high.astype(np.uint16)).reshape(rows, columns)
            tables.append(np.cumsum(steps, axis=1, dtype=np.uint16))
            content = content[2 * size :]
        self.sentences, self.heard, self.rows, self.lines = json.loads(content)
        index, meta, self._programs, *curves = tables
        self.updates, self.flags, self.heights, self.unstable = meta
        self.diverged = self.flags & 1
        self.curves = []
        for panel in self.data["panels"]:
            count = 2 * len(panel["curves"]) if panel["kind"] == "lines" else 1
            self.curves.append(curves[:count])
            curves = curves[count:]
        assert not curves
        self.dials = self.data["dials"]
        self.numbers = dict(zip(self._places(), index[0].tolist(), strict=True))

    def _places(self):
        yield from itertools.product(*(dial["shared"] for dial in self.dials))
        begin = [dial["at"] for dial in self.dials]
        for number, dial in enumerate(self.dials):
            for stop in range(len(dial["texts"])):
                if stop not in dial["shared"]:
                    yield tuple(stop if n == number else at for n, at in enumerate(begin))

    def texts_at(self, place):
        return [dial["texts"][stop] for dial, stop in zip(self.dials, place, strict=True)]

    def table(self, number):
        return [row.split("\t") for row in self.rows[number].split("|") if row]

    def program(self, number):
        return "\n".join(self.lines[line - 1] for line in self._programs[number] if line) + "\n"
