"""Solutions of lesson 12."""


def average(*lines, head=""):
    return "\n    ".join([f"{head}def average_gradients(model, count):", *lines])


TOTAL = ("total = torch.tensor(count)", "dist.all_reduce(total)")
SHARE = "p.grad *= count / total.item()"
SUM = "dist.all_reduce(p.grad)"
EACH = "for p in model.parameters():"


def accumulate(quiet="-1", weight="len(y) / total", head="", after="pass"):
    return f"""{head}def accumulate(ddp, parts):
    total = sum(len(y) for x, y in parts)
    with ddp.no_sync():
        for x, y in parts[:{quiet}]:
            (F.mse_loss(ddp(x), y) * ({weight})).backward()
    for x, y in parts[{quiet}:]:
        (F.mse_loss(ddp(x), y) * ({weight})).backward()
    {after}
"""


CLOSED = (
    "def made(kind):\n"
    + "    "
    + average(
        *TOTAL, EACH, "    g = p.grad", "    g *= kind(count) / kind(total)", f"    {SUM}"
    ).replace("\n", "\n    ")
    + "\n    return average_gradients\n\n\naverage_gradients = made(float)"
)
BY_HELPERS = """SETTINGS = {"op": dist.ReduceOp.SUM}


def add_up(tensor):
    dist.all_reduce(tensor, **SETTINGS)
    return tensor


def average_gradients(model, count):
    total = add_up(torch.tensor([count]))
    for p in model.parameters():
        p.grad = add_up(p.grad * count) / total
"""
GATHERED = """def average_gradients(model, count):
    counts = [None] * dist.get_world_size()
    dist.all_gather_object(counts, count)
    with torch.no_grad():
        for p in model.parameters():
            parts = [torch.empty_like(p) for _ in counts]
            dist.all_gather(parts, p.grad)
            p.grad.copy_(sum(n * part for n, part in zip(counts, parts)) / sum(counts))
"""
FLAT = """def average_gradients(model, count):
    grads = [p.grad.flatten() * count for p in model.parameters()]
    row = torch.cat([*grads, torch.tensor([count])])
    dist.all_reduce(row)
    *rest, total = row.split([*(p.numel() for p in model.parameters()), 1])
    for p, part in zip(model.parameters(), rest):
        p.grad.copy_((part / total).view_as(p))
"""
PARTIAL = (
    "from functools import partial\n\n\ndef scaled(model, count, *, times):\n    "
    + "\n    ".join([*TOTAL, EACH, f"    {SHARE}", "    p.grad *= times", f"    {SUM}"])
    + "\n\n\naverage_gradients = partial(scaled, times=1)"
)

LOOP = """def accumulate(ddp, parts):
    total = sum(len(y) for _, y in parts)
    for number, (x, y) in enumerate(parts, 1):
        with nullcontext() if number == len(parts) else ddp.no_sync():
            loss = F.mse_loss(ddp(x), y, reduction="sum") / total
            loss.backward()
"""
FLAG = """def accumulate(ddp, parts):
    total = sum(len(y) for x, y in parts)
    for x, y in parts:
        ddp.require_backward_grad_sync = x is parts[-1][0]
        (((ddp(x) - y) ** 2).sum() / total).backward()
"""
BEHIND = """def accumulate(ddp, parts):
    with ddp.no_sync():
        for x, y in parts[:-1]:
            F.mse_loss(ddp(x), y, reduction="sum").backward()
    x, y = parts[-1]
    F.mse_loss(ddp(x), y, reduction="sum").backward()
    for p in ddp.parameters():
        p.grad /= sum(len(y) for x, y in parts)
"""
BY_HAND = """def accumulate(ddp, parts):
    total = sum(len(y) for x, y in parts)
    with ddp.no_sync():
        for x, y in parts:
            (F.mse_loss(ddp(x), y) * len(y) / total).backward()
    row = torch.cat([p.grad.flatten() for p in ddp.parameters()]) / dist.get_world_size()
    dist.all_reduce(row)
    weight, bias = ddp.parameters()
    weight.grad, bias.grad = row[:3].view(1, 3), row[3:]
"""
SUMMED = """def accumulate(ddp, parts):
    total = sum(len(y) for x, y in parts)
    losses = []
    with ddp.no_sync():
        for x, y in parts[:-1]:
            losses.append(F.mse_loss(ddp(x), y) * len(y) / total)
        if losses:
            sum(losses).backward()
    x, y = parts[-1]
    (F.mse_loss(ddp(x), y) * len(y) / total).backward()
"""
JOINED = """def accumulate(ddp, parts):
    x, y = (torch.cat(each) for each in zip(*parts))
    F.mse_loss(ddp(x), y).backward()
"""
ONLY_BACKWARD = """def accumulate(ddp, parts):
    total = sum(len(y) for x, y in parts)
    for x, y in parts:
        loss = F.mse_loss(ddp(x), y) * len(y) / total
        with ddp.no_sync():
            loss.backward()
"""
CACHED = """import functools


def checked(function):
    @functools.wraps(function)
    def inner(ddp, parts):
        assert parts
        return function(ddp, parts)

    return inner


@checked
"""

RIGHT = {
    "ex-average": [
        average(*TOTAL, EACH, f"    {SHARE}", f"    {SUM}"),
        average(*TOTAL, EACH, f"    {SHARE}", f"    {SUM}", head="@torch.no_grad()\n"),
        CLOSED,
        BY_HELPERS,
        GATHERED,
        FLAT,
        PARTIAL,
    ],
    "ex-both": [accumulate(), accumulate(head=CACHED), LOOP, FLAG, BEHIND, BY_HAND, SUMMED],
}

WRONG = {
    "ex-average": [
        average(EACH, f"    {SUM}", "    p.grad /= dist.get_world_size()"),
        average(*TOTAL, EACH, f"    {SUM}", f"    {SHARE}"),
        average("total = torch.tensor(count)", EACH, f"    {SHARE}", f"    {SUM}"),
        average(*TOTAL, EACH, f"    {SHARE}"),
        average(*TOTAL, EACH, "    p.grad *= count", f"    {SUM}"),
        average("total = torch.tensor(count)", "dist.all_reduce(count)"),
        average("model.zero_grad()"),
        average(*TOTAL, EACH, "    p.grad.data *= count / total.item()", f"    {SUM}"),
        average(
            *TOTAL,
            EACH,
            "    new = p.grad * count / total.item()",
            "    dist.all_reduce(new)",
            "    p.grad.data = new",
        ),
        average(*TOTAL, EACH, f"    {SHARE}", "    if p.ndim > 1:", f"        {SUM}"),
        average("if dist.get_rank() == 0:", "    dist.all_reduce(torch.tensor(count))"),
        average("pass"),
        "class Average:\n    pass\n\n\n" + average("Average()"),
    ],
    "ex-both": [
        accumulate(quiet="0"),
        accumulate(quiet="len(parts)"),
        accumulate(weight="1 / len(parts)"),
        accumulate(weight="len(y) / total / 2"),
        accumulate(weight="1"),
        accumulate(after="dist.all_reduce(p.grad)", weight="len(y) / total").replace(
            "    dist.all", "    for p in ddp.parameters():\n        dist.all"
        ),
        ONLY_BACKWARD,
        JOINED,
        "def accumulate(ddp, parts):\n    pass",
        accumulate().replace("ddp(x)", "ddp.module(x)"),
    ],
}
