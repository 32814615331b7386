"""For every kernel of the hub, with late_compiler.py in the same folder; README.md says why."""

import os
import sys

c = get_config()  # noqa: F821

c.Completer.use_jedi = False

sys.path.append(os.path.dirname(__file__))
c.InteractiveShellApp.extensions = ["late_compiler"]
