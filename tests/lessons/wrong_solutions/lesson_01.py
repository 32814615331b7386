"""Wrong solutions of lesson 01, by exercise; its checks refuse them all."""

ADD = "def add_gradient(p, dp):\n    {}\n"
FIRST = "if p.grad is None:\n        p.grad = {}\n    else:\n        p.grad{}"
BEST = """def best_state(model, optimizer, x, y, updates):
    lowest = float("inf")
    for _ in range(updates):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        {before}
        loss.backward()
        optimizer.step()
        {after}
    return {end}
"""
IF = "if loss.item() < lowest: lowest, best = loss.item(), "
COPY = "copy.deepcopy(model.state_dict())"
PENALTY = "def add_penalty(model, lam):\n    for p in model.parameters():\n        {}\n"
GUARD = "if p.grad is not None: "


def _best(before="pass", after="pass", end="best"):
    return BEST.format(before=before, after=after, end=end)


WRONG = {
    "ex-add": [
        ADD.format("p.grad = (p.grad or 0) + dp"),
        ADD.format("p.grad = dp.clone()"),
        ADD.format("p.data.add_(dp)"),
        ADD.format(FIRST.format("dp", ".add_(dp)")),
        ADD.format(FIRST.format("dp.clone()", " = p.grad + dp")),
    ],
    "ex-best": [
        _best(before=IF + "model.state_dict()"),
        _best(before=IF + "model.state_dict().copy()"),
        _best(before=IF + "{n: p.detach() for n, p in model.state_dict().items()}"),
        _best(after=IF + COPY),
        _best(before="lowest = min(lowest, loss.item())", end="lowest"),
        _best(before=IF + COPY).replace("range(updates)", "range(updates - 1)"),
        _best(end=COPY),
    ],
    "ex-penalty": [
        PENALTY.format(GUARD + "p.grad.data.add_(lam * p.data)"),
        PENALTY.format(GUARD + "p.grad.add_(lam * p)"),
        PENALTY.format(GUARD + "p.grad = p.grad + lam * p"),
        PENALTY.format("p.grad.add_(lam * p.detach())"),
        PENALTY.format(GUARD + "p.data.add_(lam * p.grad)"),
        PENALTY.format("p.grad = lam * p.detach() + (0 if p.grad is None else p.grad)"),
    ],
}
