"""A real Jupyter server and a real Chromium, for the browser tests and the benchmarks."""
