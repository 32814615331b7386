"""`python -m gradwidgets`: the same as the command `gradwidgets`."""

import sys

from gradwidgets_notebooks.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
