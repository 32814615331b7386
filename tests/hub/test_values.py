"""The files for a hub on Kubernetes say what those for one machine say, in keys that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

import gradwidgets

HUB = Path(__file__).parents[2] / "hub"
VALUES = yaml.safe_load((HUB / "values.yaml").read_text(encoding="utf-8"))
KEYS = {
    "singleuser": {
        "image": {"name", "tag"},
        "memory": {"guarantee", "limit"},
        "cpu": {"guarantee", "limit"},
        "networkPolicy": {"egress"},
        "lifecycleHooks": {"postStart"},
        "defaultUrl": None,
        "startTimeout": None,
        "extraEnv": None,
    },
    "hub": {
        "service": {"extraPorts"},
        "networkPolicy": {"ingress"},
        "concurrentSpawnLimit": None,
        "config": None,
        "loadRoles": None,
        "services": None,
        "extraVolumes": None,
        "extraContainers": None,
    },
}
"""Read off the chart's values.schema.yaml, which allows no others; below None it allows all."""


def strange(values: Any, allowed: Any, path: str = "") -> list[str]:
    """The keys of values that are not allowed, with those above them."""
    if allowed is None:
        return []
    found = [f"{path}.{key}" for key in values if key not in allowed]
    if isinstance(allowed, dict):
        for key in values.keys() & allowed:
            found += strange(values[key], allowed[key], f"{path}.{key}")
    return found


@pytest.fixture(scope="module")
def config() -> Config:
    """One machine's two files, as a hub merges them."""
    merged = Config()
    for name in ("jupyterhub_config.py", "class_config.py"):
        merged.merge(PyFileConfigLoader(name, str(HUB)).load_config())
    return merged


def test_the_chart_knows_every_key() -> None:
    assert strange(VALUES, KEYS) == []
    assert strange({"hub": {"x": 1, "service": {"y": 2}}}, KEYS) == [".hub.x", ".hub.service.y"]


def test_a_learner_gets_the_same_on_kubernetes(config: Config) -> None:
    spawner, single = config.Spawner, VALUES["singleuser"]
    own = VALUES["hub"]["config"]["Spawner"]
    assert (single["memory"]["guarantee"], single["memory"]["limit"]) == (
        spawner.mem_guarantee,
        spawner.mem_limit,
    )
    assert single["cpu"] == {"guarantee": spawner.cpu_guarantee, "limit": spawner.cpu_limit}
    assert single["defaultUrl"] == spawner.default_url
    assert (own["args"], own["server_token_scopes"]) == (spawner.args, spawner.server_token_scopes)
    environment = spawner.environment.get_value({})
    assert single["extraEnv"].keys() == environment.keys()
    assert single["extraEnv"]["OMP_NUM_THREADS"] == environment["OMP_NUM_THREADS"]


def test_everybody_may_start_at_the_same_time(config: Config) -> None:
    hub, spawner = VALUES["hub"], config.Spawner
    assert hub["concurrentSpawnLimit"] == config.JupyterHub.concurrent_spawn_limit == 0
    assert VALUES["singleuser"]["startTimeout"] == spawner.start_timeout == 300
    assert hub["config"]["Spawner"]["http_timeout"] == spawner.http_timeout == 300


def test_the_class_is_the_same_service_everywhere(config: Config) -> None:
    hub = VALUES["hub"]
    (service,), (role,) = (
        each.get_value([]) for each in (config.JupyterHub.services, config.JupyterHub.load_roles)
    )
    assert hub["services"].keys() == {service["name"]}
    assert hub["loadRoles"] == {role["name"]: {"scopes": role["scopes"]}}
    (container,), (port,) = hub["extraContainers"], hub["service"]["extraPorts"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    address = f"http://hub:{port['port']}{told['JUPYTERHUB_SERVICE_PREFIX']}"
    assert VALUES["singleuser"]["extraEnv"]["GRADWIDGETS_CLASS"] == address
    assert hub["services"]["class"]["url"] == f"http://hub:{port['port']}"
    assert container["ports"] == [{"containerPort": port["targetPort"]}]
    assert told["JUPYTERHUB_SERVICE_URL"].endswith(f":{port['targetPort']}")
    opened = [
        *hub["networkPolicy"]["ingress"][0]["ports"],
        *VALUES["singleuser"]["networkPolicy"]["egress"][0]["ports"],
    ]
    assert [each["port"] for each in opened] == [port["targetPort"]] * 2
    (volume,), (mount,) = hub["extraVolumes"], container["volumeMounts"]
    assert volume["name"] == mount["name"]
    assert container["command"][-1].startswith(f"--file={mount['mountPath']}/")


def test_the_image_is_that_of_the_dockerfile_and_this_version() -> None:
    image = VALUES["singleuser"]["image"]
    assert image["tag"] == gradwidgets.__version__
    assert VALUES["hub"]["extraContainers"][0]["image"] == f"{image['name']}:{image['tag']}"
    dockerfile = (HUB / "Dockerfile").read_text(encoding="utf-8")
    assert f"-t {image['name']}:{image['tag']}" in dockerfile
    for name in re.findall(r"/source/(\S+\.(?:py|txt))", dockerfile):
        assert (HUB.parent / name).exists(), name
