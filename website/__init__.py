"""The site: the whole course as static pages, which need no kernel and ask no other host.

`python -m website` builds it into `build/site`. Nothing is written twice: lessons are the
notebooks, claims and codes are read from where they stand, and each answer and each lab is made by
running the lesson's own cells.
"""
