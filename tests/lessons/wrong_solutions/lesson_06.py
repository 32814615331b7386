"""Wrong solutions of lesson 06, by exercise; its checks refuse them all."""

ACCUMULATE = """def accumulate(model, parts):
{clear}    whole, total = 0.0, sum(len(y) for x, y in parts)
    for x, y in parts:
        loss = F.mse_loss(model(x), y) * {weight}
        loss.backward()
        whole += {part}
    return {end}
"""
CLEAR = "    model.zero_grad()\n"
SHARE = "len(y) / total"

EPOCH = """def train_epoch(model, optimizer, batches, k):
    steps = 0
    optimizer.zero_grad()
    for i, (x, y) in enumerate(batches):
        (F.mse_loss(model(x), y) / k).backward()
        if {when}:
            optimizer.step()
            {after}
            steps += 1
    return steps
"""
GROUPS = """def train_epoch(model, optimizer, batches, k):
    steps = 0
    for first in range(0, len(batches), k):
        group = batches[first : first + k]
        {clear}
        for x, y in group:
            (F.mse_loss(model(x), y) * {weight}).backward()
        optimizer.step()
        steps += 1
    return {end}
"""

WRONG = {
    "ex-accumulate": [
        ACCUMULATE.format(clear=CLEAR, weight="1 / len(parts)", part="loss.item()", end="whole"),
        ACCUMULATE.format(clear=CLEAR, weight="1", part="loss.item()", end="whole"),
        ACCUMULATE.format(clear="", weight=SHARE, part="loss.item()", end="whole"),
        ACCUMULATE.format(clear=CLEAR, weight=SHARE, part="loss", end="whole"),
        ACCUMULATE.format(clear=CLEAR, weight=SHARE, part="loss.item()", end="loss.item()"),
        ACCUMULATE.format(clear=CLEAR, weight=SHARE, part="loss.item() / len(parts)", end="whole"),
        "def accumulate(model, parts):\n    return 0.0",
    ],
    "ex-weights": [
        "def token_weights(parts):\n    return [1 / len(parts) for part in parts]",
        "def token_weights(parts):\n"
        "    total = sum(len(part) for part in parts)\n"
        "    return [len(part) / total for part in parts]",
        "def token_weights(parts):\n"
        "    total = sum(part.numel() for part in parts)\n"
        "    return [part.numel() / total for part in parts]",
        "def token_weights(parts):\n    return [(part != -100).sum().item() for part in parts]",
        "def token_weights(parts):\n"
        "    counts = [(part != -100).sum() for part in parts]\n"
        "    return [count / sum(counts) for count in counts]",
    ],
    "ex-epoch": [
        EPOCH.format(when="(i + 1) % k == 0", after="optimizer.zero_grad()"),
        EPOCH.format(
            when="(i + 1) % k == 0 or i + 1 == len(batches)", after="optimizer.zero_grad()"
        ),
        EPOCH.format(when="(i + 1) % k == 0 or i + 1 == len(batches)", after="pass"),
        GROUPS.format(clear="optimizer.zero_grad()", weight="1 / len(group)", end="steps"),
        GROUPS.format(clear="pass", weight="len(y) / sum(len(b) for a, b in group)", end="steps"),
        GROUPS.format(
            clear="optimizer.zero_grad()",
            weight="len(y) / sum(len(b) for a, b in group)",
            end="None",
        ),
        GROUPS.format(clear="optimizer.zero_grad()", weight="1 / k", end="steps"),
    ],
}
