"""`python -m website` builds the site into `build/site`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import matplotlib as mpl

from website.build import FACES, Part, build
from website.live import ROOT

SAMPLE = Part(
    lessons=("00_start_here", "01_autograd_and_grad"),
    claims=("000-02", "000-11"),
    codes=("not-cleared", "detached"),
    faces=FACES,
)
"""A few pages of each kind, and the whole reference, which a test builds."""


def main(words: list[str]) -> int:
    """Build all, or with `sample` a few pages of each kind, and say how large it is."""
    mpl.use("agg")
    began = time.monotonic()
    sample = "sample" in words
    folder = ROOT / "build"
    site = build(
        folder / ("site-sample" if sample else "site"),
        folder / "site-work",
        SAMPLE if sample else None,
    )
    files = [path for path in site.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    shown = site.relative_to(Path.cwd()) if site.is_relative_to(Path.cwd()) else site
    took = time.monotonic() - began
    print(f"{shown}/index.html: {len(files)} files, {size:.1f} MB, {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
