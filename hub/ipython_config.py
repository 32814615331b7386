"""For every kernel of the hub; see README.md beside it."""

c = get_config()  # noqa: F821

c.Completer.use_jedi = False
