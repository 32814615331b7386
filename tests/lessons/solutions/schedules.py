"""Solutions of lesson 13."""

HEAD = "def factor(update, warmup, total):\n    "
COSINE = "return 0.5 * (1 + math.cos(math.pi * (update - warmup) / (total - warmup)))"


def factor(rising, falling=COSINE):
    return f"{HEAD}if update < warmup:\n        return {rising}\n    {falling}"


def epoch(
    clear="        optimizer.zero_grad()",
    loss="nn.functional.mse_loss(model(x), y) / len(group)",
    after="",
    steps=("optimizer.step()", "scheduler.step()"),
    groups="range(0, len(batches), k)",
):
    return f"""def train_epoch(model, optimizer, scheduler, batches, k):
    for first in {groups}:
        group = batches[first : first + k]
{clear}
        for x, y in group:
            loss = {loss}
            loss.backward()
            {after}
        {steps[0]}
        {steps[1]}
"""


COUNTING = """def train_epoch(model, optimizer, scheduler, batches, k):
    whole = len(batches) - len(batches) % k
    for number, (x, y) in enumerate(batches, 1):
        size = k if number <= whole else len(batches) - whole
        (nn.MSELoss()(model(x), y) / size).backward()
        if number % k == 0 or number == len(batches):
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
"""
SUMMED = """def train_epoch(model, optimizer, scheduler, batches, k):
    for first in range(0, len(batches), k):
        group = batches[first : first + k]
        model.zero_grad()
        sum(((model(x) - y) ** 2).mean() for x, y in group).div(len(group)).backward()
        optimizer.step()
        scheduler.step()
"""
EDITED = """def train_epoch(model, optimizer, scheduler, batches, k):
    batches = list(batches)
    while batches:
        group, batches = batches[:k], batches[k:]
        optimizer.zero_grad(set_to_none=False)
        for x, y in group:
            nn.functional.mse_loss(model(x), y).backward()
        for p in model.parameters():
            p.grad /= len(group)
        optimizer.step()
        scheduler.step()
"""
JOINED = """def train_epoch(model, optimizer, scheduler, batches, k):
    for first in range(0, len(batches), k):
        x, y = map(torch.cat, zip(*batches[first : first + k]))
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        scheduler.step()
"""

RIGHT = {
    "ex-factor": [
        factor("(update + 1) / warmup"),
        factor("(1 + update) * (1 / warmup)"),
        f"import numpy as np\n{factor('np.float64(update + 1) / warmup')}",
        f"{HEAD}if update >= warmup:\n        return (1 + math.cos(math.pi * (update - warmup) / "
        "(total - warmup))) / 2\n    return (update + 1) / warmup",
        factor("torch.tensor((update + 1) / warmup, dtype=torch.float64)"),
        "cosine = lambda t: math.cos(0.5 * math.pi * t) ** 2\n"
        + factor("(update + 1) / warmup", "return cosine((update - warmup) / (total - warmup))"),
    ],
    "ex-epoch": [epoch(), COUNTING, SUMMED, EDITED, epoch(after="del loss")],
}

WRONG = {
    "ex-factor": [
        f"{HEAD}return 1.0",
        f"{HEAD}pass",
        factor("update / warmup"),
        factor("update / warmup", COSINE.replace("0.5", "0.25")),
        factor("(update + 1) / warmup", "return 1 - (update - warmup) / (total - warmup)"),
        factor("(update + 1) / warmup", "return 0.5 * (1 + math.cos(math.pi * update / total))"),
        factor("(update + 1) / warmup", COSINE.replace("math.pi", "2 * math.pi")),
        factor(
            "(update + 1) / warmup",
            "return math.cos(math.pi * (update - warmup) / (total - warmup))",
        ),
        factor("(update + 1) / total"),
    ],
    "ex-epoch": [
        "def train_epoch(model, optimizer, scheduler, batches, k):\n    pass",
        JOINED,
        epoch(clear="        pass"),
        epoch(loss="nn.functional.mse_loss(model(x), y)"),
        epoch(loss="nn.functional.mse_loss(model(x), y) / k"),
        epoch(steps=("scheduler.step()", "optimizer.step()")),
        epoch(after="scheduler.step()", steps=("optimizer.step()", "pass")),
        epoch(after="optimizer.step(); optimizer.zero_grad()"),
        epoch(groups="range(0, len(batches) - len(batches) % k, k)"),
        epoch(steps=("optimizer.step()", "pass")),
    ],
}
