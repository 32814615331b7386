"""Solutions of lesson 01."""

BEST = """def best_state(model, optimizer, x, y, updates):
    lowest = float("inf")
    for _ in range(updates):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        {before}
        loss.backward()
        optimizer.step()
        {after}
    {last}
    return {end}
"""
IF = "if loss.item() < lowest: lowest, best = loss.item(), "
COPY = "copy.deepcopy(model.state_dict())"


def best(before="pass", after="pass", last="pass", end="best"):
    return BEST.format(before=before, after=after, last=last, end=end)


def penalty(line, block="with torch.no_grad():", guard="if p.grad is not None:"):
    return (
        f"def add_penalty(model, lam):\n    {block}\n        for p in model.parameters():\n"
        f"            {guard}\n                {line}"
    )


PLAIN = "if True:"

RIGHT = {
    "ex-best": [
        best(IF + COPY),
        best(IF + "{n: p.detach().clone() for n, p in model.named_parameters()}"),
        best(IF + COPY, last="model.load_state_dict(best)"),
        best(
            "import numpy as np\n        "
            f"if np.float64(loss.detach()) < lowest: lowest, best = np.float64(loss.item()), {COPY}"
        ),
        "def make():\n"
        "    def inner(model, optimizer, x, y, updates):\n"
        "        seen = []\n"
        "        for _ in range(updates):\n"
        "            model.zero_grad()\n"
        "            loss = ((model(x) - y) ** 2).mean()\n"
        "            seen.append((loss.item(), copy.deepcopy(model.state_dict())))\n"
        "            loss.backward()\n"
        "            optimizer.step()\n"
        "        return min(seen, key=lambda pair: pair[0])[1]\n"
        "    return inner\n"
        "best_state = make()",
        best(IF + "{n: t.cpu().clone() for n, t in model.state_dict().items()}"),
    ],
    "ex-penalty": [
        penalty("p.grad.add_(lam * p)"),
        penalty("p.grad += lam * p"),
        penalty("p.grad.add_(p, alpha=lam)"),
        penalty("p.grad.add_(lam * p.detach())", PLAIN),
        penalty("p.grad.copy_(p.grad + lam * p)"),
        "@torch.no_grad()\n" + penalty("p.grad.add_(lam * p)", PLAIN),
        penalty(
            "p.grad.add_(lam * p)",
            "with torch.no_grad():",
            "if p.grad is None: continue\n            if True:",
        ),
        "def add_penalty(model, lam):\n"
        "    ps = [p for p in model.parameters() if p.grad is not None]\n"
        "    with torch.no_grad():\n"
        "        torch._foreach_add_([p.grad for p in ps], ps, alpha=lam)",
    ],
}

WRONG = {
    "ex-best": [
        best(IF + "model.state_dict()"),
        best(IF + "model.state_dict().copy()"),
        best(IF + "{n: p.detach() for n, p in model.state_dict().items()}"),
        best(after=IF + COPY),
        best("lowest = min(lowest, loss.item())", end="lowest"),
        best(IF + COPY).replace("range(updates)", "range(updates - 1)"),
        best(IF + COPY).replace("optimizer.zero_grad()", "pass"),
        best(IF + "model.state_dict()", last="model.load_state_dict(best)"),
        best(IF + COPY, last="model.load_state_dict(best)", end="model.state_dict()"),
        best(IF + COPY, after="model.load_state_dict(best)"),
        best(IF.replace("<", ">").replace("lowest,", "lowest,", 1) + COPY, end=COPY),
        best(end=COPY),
        best(end="None"),
    ],
    "ex-penalty": [
        penalty("pass"),
        penalty("p.grad.data.add_(lam * p.data)", PLAIN),
        penalty("p.grad.data.add_(lam * p)"),
        penalty("p.grad.add_(lam * p)", PLAIN),
        penalty("p.grad = p.grad + lam * p", PLAIN),
        penalty("p.grad = (p.grad + lam * p).data", PLAIN),
        penalty("p.grad = p.grad + lam * p"),
        penalty("p.grad.data = p.grad + lam * p"),
        penalty("p.grad.add_(lam * p)", guard=PLAIN),
        penalty("p.data.add_(lam * p.grad)"),
        penalty("p.grad.sub_(lam * p)"),
        penalty("p.grad.add_(2 * lam * p)"),
        penalty("p.grad = lam * p + (0 if p.grad is None else p.grad)", guard=PLAIN),
    ],
}
