"""What a JupyterHub should give each learner of this course; README.md beside it says why.

In your own jupyterhub_config.py: load_subconfig("hub/jupyterhub_config.py")
"""

c = get_config()  # noqa: F821

c.Spawner.default_url = "/lab"
c.Spawner.environment.update(
    {"OMP_NUM_THREADS": "1"}  # a learner's share of the processor is one core or less
)
c.Spawner.args = ["--MappingKernelManager.cull_idle_timeout=1800"]  # each open lesson is a kernel
c.Spawner.mem_guarantee = "512M"
c.Spawner.mem_limit = "1G"
c.Spawner.cpu_guarantee = 0.2
c.Spawner.cpu_limit = 1

# Everybody comes when the class begins. JupyterHub by itself starts 100 servers at a time and sends
# others away with an error, and gives up on a server that does not answer within 30 seconds.
c.JupyterHub.concurrent_spawn_limit = 0  # no limit
c.Spawner.start_timeout = c.Spawner.http_timeout = 300
