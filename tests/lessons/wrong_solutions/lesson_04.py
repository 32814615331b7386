"""Wrong solutions of lesson 04, by exercise; its checks refuse them all."""

HIDE = """def hide(p, fraction):
    if p.grad is not None:
        {line}
"""
KEEPING = """def step_keeping(optimizer, p, keep):
    before = p.detach(){copy}
    {first}
    optimizer.step()
    {last}
"""
WRITE_BACK = "with torch.no_grad(): p[keep] = before[keep]"
DEAD = "def dead_units(layer, x):\n    return {}"

WRONG = {
    "ex-hide": [
        HIDE.format(line="p.grad[: round(fraction * len(p.grad))] = 0"),
        HIDE.format(line="p.grad.view(-1)[: int(fraction * p.numel())] = 0"),
        HIDE.format(line="p.grad.view(-1)[p.numel() - round(fraction * p.numel()) :] = 0"),
        HIDE.format(line="p.data.view(-1)[: round(fraction * p.numel())] = 0"),
        HIDE.format(line="p.grad = None"),
        "def hide(p, fraction):\n    p.grad.view(-1)[: round(fraction * p.numel())] = 0",
    ],
    "ex-keeping": [
        KEEPING.format(copy="", first="p.grad[keep] = 0", last=""),
        KEEPING.format(copy="", first="", last=WRITE_BACK),
        KEEPING.format(copy=".clone()", first="", last="p[keep] = before[keep]"),
        KEEPING.format(copy=".clone()", first="", last="p.data = before"),
        KEEPING.format(copy=".clone()", first="p.grad = None", last=WRITE_BACK),
        KEEPING.format(
            copy=".clone()", first="", last="with torch.no_grad(): p[~keep] = before[~keep]"
        ),
    ],
    "ex-dead": [
        DEAD.format("(layer(x) <= 0).any(dim=0).nonzero().flatten().tolist()"),
        DEAD.format("(layer(x) <= 0).all(dim=1).nonzero().flatten().tolist()"),
        DEAD.format("(layer(x) <= 0).all(dim=0).nonzero().flatten()"),
        DEAD.format("(layer.bias <= 0).nonzero().flatten().tolist()"),
        DEAD.format("(layer(x).mean(dim=0) <= 0).nonzero().flatten().tolist()"),
        DEAD.format("(layer(x) <= 0).all(dim=0).tolist()"),
    ],
}
