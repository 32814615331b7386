"""Wrong solutions of lesson 12, by exercise; its checks refuse them all."""

AVERAGE = """def average_gradients(model, count):
    total = torch.tensor(count)
    {exchange}
    for p in model.parameters():
        {first}
        {second}
"""
TOTAL = "dist.all_reduce(total)"
SHARE = "p.grad *= count / total.item()"
SUM = "dist.all_reduce(p.grad)"

ACCUMULATE = """def accumulate(ddp, parts):
    total = sum(len(y) for x, y in parts)
    with ddp.no_sync():
        for x, y in parts[:{quiet}]:
            (F.mse_loss(ddp(x), y) * {weight}).backward()
    for x, y in parts[{quiet}:]:
        (F.mse_loss(ddp(x), y) * {weight}).backward()
"""
N = "len(y) / total"

WRONG = {
    "ex-average": [
        AVERAGE.format(exchange="pass", first=SUM, second="p.grad /= dist.get_world_size()"),
        AVERAGE.format(exchange=TOTAL, first=SUM, second=SHARE),
        AVERAGE.format(exchange="pass", first=SHARE, second=SUM),
        AVERAGE.format(exchange=TOTAL, first=SHARE, second="pass"),
        AVERAGE.format(exchange=TOTAL, first="p.grad *= count", second=SUM),
        AVERAGE.format(exchange="dist.all_reduce(count)", first=SHARE, second=SUM),
        "def average_gradients(model, count):\n    model.zero_grad()",
    ],
    "ex-both": [
        ACCUMULATE.format(quiet="0", weight=N),
        ACCUMULATE.format(quiet="len(parts)", weight=N),
        ACCUMULATE.format(quiet="-1", weight="1 / len(parts)"),
        ACCUMULATE.format(quiet="-1", weight="len(y) / total / 2"),
        ACCUMULATE.format(quiet="-1", weight="1"),
        "def accumulate(ddp, parts):\n"
        "    total = sum(len(y) for x, y in parts)\n"
        "    for x, y in parts:\n"
        "        loss = F.mse_loss(ddp(x), y) * len(y) / total\n"
        "        with ddp.no_sync():\n"
        "            loss.backward()",
    ],
}
