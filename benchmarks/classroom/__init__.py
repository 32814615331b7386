"""A class on a real JupyterHub: how fast it answers, and what each learner costs."""
