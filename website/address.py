"""Where the site, its repository and a hub are. Nothing of it is known unless somebody says so."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import quote

BRANCH = "course"
"""The branch that holds what students get: `python develop.py course-branch` makes it."""


@dataclass(frozen=True)
class Addresses:
    """Public addresses; what is empty is left out of the pages.

    Args:
        site: of the site itself, such as "https://example.org/gradwidgets/".
        repository: of the repository on GitHub, such as "https://github.com/OWNER/NAME".
        hub: of a JupyterHub with nbgitpuller, such as "https://hub.example.org".
    """

    site: str = ""
    repository: str = ""
    hub: str = ""

    @classmethod
    def given(cls) -> Addresses:
        """Those of the environment: SITE_ADDRESS, SITE_REPOSITORY, SITE_HUB."""
        site, repository, hub = (
            os.environ.get(f"SITE_{name}", "").strip() for name in ("ADDRESS", "REPOSITORY", "HUB")
        )
        return cls(site and site.rstrip("/") + "/", repository.rstrip("/"), hub.rstrip("/"))

    def launches(self, notebook: str, cell: str = "") -> list[tuple[str, str]]:
        """A label and an address for each place that opens a notebook.

        Args:
            notebook: its path in the repository.
            cell: the id of the cell to open it at, where the place can do that.
        """
        links = []
        if self.repository:
            project = self.repository.removeprefix("https://github.com/")
            links.append(
                (
                    "Colab",
                    f"https://colab.research.google.com/github/{project}/blob/{BRANCH}/{notebook}",
                )
            )
            path = quote(notebook, safe="")
            links.append(
                ("Binder", f"https://mybinder.org/v2/gh/{project}/{BRANCH}?labpath={path}")
            )
        if self.hub and self.repository:
            name = self.repository.rpartition("/")[2]
            path = quote(f"lab/tree/{name}/{notebook}", safe="")
            repository = quote(self.repository, safe="")
            links.append(
                (
                    "Your class's hub",
                    f"{self.hub}/hub/user-redirect/git-pull?repo={repository}"
                    f"&branch={BRANCH}&targetpath={name}&urlpath={path}",
                )
            )
        at = f"#cell-id={cell}" if cell else ""
        name = notebook.rpartition("/")[2]
        return [*links, ("Your own JupyterLab", f"http://localhost:8888/lab/tree/{name}{at}")]
