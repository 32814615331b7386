"""Wrong solutions of lesson 10, by exercise; its checks refuse them all."""

STOP = """def stop(losses, threshold, beta):
    smooth = {start}
    for n, loss in enumerate(losses):
        {first}
        smooth = {line}
        if smooth < threshold:
            return n, "threshold"
        {last}
    return None
"""
FINITE = 'if not math.isfinite(loss): return n, "not finite"'
NAN = 'if math.isnan(loss): return n, "not finite"'
MEAN = "beta * smooth + (1 - beta) * loss"

ALERTS = """def alerts(log):
    found, quiet = [], 0
    for n, (loss, ratio) in enumerate(zip(log["loss"], log["update_ratio"])):
        if n >= {begin} and loss > 3 * statistics.{middle}(log["loss"][max(0, n - 20) : {end}]):
            found.append((n, "jump"))
        quiet = quiet + 1 if ratio < 1e-6 else {reset}
        if quiet == 20{once}:
            found.append((n, "stuck"))
    if log["stopped"]{why}:
        found.append((log["stopped"][0], "diverged"))
    return found
"""
RIGHT = {
    "begin": 20,
    "middle": "median",
    "end": "n",
    "reset": 0,
    "once": ' and "stuck" not in dict(map(reversed, found))',
    "why": ' and log["stopped"][1] == "diverged"',
}

WRONG = {
    "ex-stop": [
        "def stop(losses, threshold, beta):\n    pass",
        STOP.format(start="losses[0]", first="pass", line="loss", last=FINITE),
        STOP.format(start="losses[0]", first=FINITE, line="loss", last="pass"),
        STOP.format(start="0.0", first=FINITE, line=MEAN, last="pass"),
        STOP.format(start="losses[0]", first=NAN, line=MEAN, last="pass"),
        STOP.format(start="losses[0]", first="pass", line=MEAN, last="pass"),
    ],
    "ex-jump": [
        "def why_jump(before, after):\n    return 'learning rate'",
        "def why_jump(before, after):\n    return None",
        "def why_jump(before, after):\n"
        "    order = {'gradient': 'gradients', 'loss': 'data', 'step': 'learning rate'}\n"
        "    return next((c for w, c in order.items() if after[w] > 2 * before[w]), 'nothing')",
        "def why_jump(before, after):\n"
        "    order = {'step': 'learning rate', 'gradient': 'gradients', 'loss': 'data'}\n"
        "    return next((c for w, c in order.items() if after[w] > 2 * before[w]), 'nothing')",
    ],
    "ex-alerts": [
        "def alerts(log):\n    return []",
        ALERTS.format(**{**RIGHT, "begin": 1}),
        ALERTS.format(**{**RIGHT, "middle": "mean"}),
        ALERTS.format(**{**RIGHT, "reset": "quiet"}),
        ALERTS.format(**{**RIGHT, "once": ""}),
        ALERTS.format(**{**RIGHT, "why": ""}),
        ALERTS.format(**RIGHT).replace("return found", "return found[::-1]"),
    ],
}
