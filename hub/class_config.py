"""A class on a JupyterHub: its users' answers, for lecturers to show; README.md beside it says how.

In your own jupyterhub_config.py: load_subconfig("hub/class_config.py"). Lecturers are the users of
the hub's group `lecturers`; nobody else sees what others have done.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821

WORDS = ("GRADWIDGETS_CLASS_WORD",)  # a hub hands a service nothing else of its environment
PORT = int(os.environ.get("GRADWIDGETS_CLASS_PORT", "8765"))  # that nothing else listens on
TLJH = Path("/opt/tljh/user/bin/python")  # where gradwidgets is installed there
PYTHON = str(TLJH) if TLJH.exists() else sys.executable

c.JupyterHub.services.append(
    {
        "name": "class",
        "url": f"http://127.0.0.1:{PORT}",
        "command": [PYTHON, "-m", "gradwidgets_notebooks", "class"],
        "display": False,
        "environment": {name: os.environ[name] for name in WORDS if name in os.environ},
    }
)
c.JupyterHub.load_roles.append(
    {"name": "user", "scopes": ["self", "access:services!service=class"]}
)
c.Spawner.server_token_scopes = [  # the first two are what every server has
    "users:activity!user",
    "access:servers!server",
    "access:services!service=class",
]
c.Spawner.environment.update({"GRADWIDGETS_CLASS": f"http://127.0.0.1:{PORT}/services/class/"})
