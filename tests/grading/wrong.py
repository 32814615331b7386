"""Wrong functions, each with the points that it deserves: what a check lets pass is seen here."""

STEP = """
def train_step(model, optimizer, loss, x, y):
"""
ACCUMULATE = """
def accumulate(model, optimizer, loss, micro_batches):
"""
DIAGNOSE = """
def diagnose(model, optimizer, loss, x, y):
"""

WRONG = {
    "train_step": {
        STEP + "    ...": 0,
        STEP + "    return 10.5": 0,
        STEP + "    optimizer.step()\n    return 10.5": 0,
        # forgets to clear
        STEP + "    v = loss(model(x), y); v.backward(); optimizer.step(); return v.item()": 4,
        # clears behind itself only
        STEP
        + "    v = loss(model(x), y); v.backward(); optimizer.step(); optimizer.zero_grad()\n"
        + "    return v.item()": 4,
        # clears in the wrong place
        STEP
        + "    v = loss(model(x), y); v.backward(); optimizer.zero_grad(); optimizer.step()\n"
        + "    return v.item()": 0,
        # clears the model with zeros: right
        STEP
        + "    model.zero_grad(set_to_none=False); v = loss(model(x), y); v.backward()\n"
        + "    optimizer.step(); return v.item()": 5,
        # returns a tensor
        STEP
        + "    optimizer.zero_grad(); v = loss(model(x), y); v.backward(); optimizer.step()\n"
        + "    return v.detach()": 4,
        # returns its own kind of float
        "class Own(float): __eq__ = lambda *_: True"
        + STEP
        + "    optimizer.zero_grad(); v = loss(model(x), y); v.backward(); optimizer.step()\n"
        + "    return Own(v.item())": 4,
        # returns the loss after the step
        STEP
        + "    optimizer.zero_grad(); loss(model(x), y).backward(); optimizer.step()\n"
        + "    return loss(model(x), y).item()": 4,
        # shuffles with the global generator
        STEP
        + "    i = torch.randperm(len(x)); x, y = x[i], y[i]; optimizer.zero_grad()\n"
        + "    v = loss(model(x), y); v.backward(); optimizer.step(); return v.item()": 4,
        # leaves train mode on
        STEP
        + "    model.train(); optimizer.zero_grad(); v = loss(model(x), y); v.backward()\n"
        + "    optimizer.step(); return v.item()": 4,
        # steps twice
        STEP
        + "    optimizer.zero_grad(); v = loss(model(x), y); v.backward(); optimizer.step()\n"
        + "    optimizer.step(); return v.item()": 0,
        # steps without the optimizer: no momentum
        STEP
        + "    optimizer.zero_grad(); v = loss(model(x), y); v.backward()\n"
        + "    with torch.no_grad():\n"
        + "        for p in model.parameters(): p -= optimizer.param_groups[0]['lr'] * p.grad\n"
        + "    return v.item()": 4,
        STEP + "    raise SystemExit": 0,
        "train_step = 5": 0,
    },
    "loop_a": {
        "def loop_a(model, optimizer, loss, batches): ...": 0,
        "def loop_a(model, optimizer, loss, batches):\n    for x, y in batches:\n"
        "        loss(model(x), y).backward(); optimizer.step()": 0,
    },
    "loop_c": {
        "def loop_c(model, lr, momentum, loss, batches):\n    for x, y in batches:\n"
        "        o = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)\n"
        "        o.zero_grad(); loss(model(x), y).backward(); o.step()": 0
    },
    "scale": {
        "def scale(parameters, factor):\n    for p in parameters: p.grad.mul_(factor)": 0,
        "def scale(parameters, factor):\n    for p in parameters: p.data.mul_(factor)": 0,
        "def scale(parameters, factor):\n    for p in parameters:\n"
        "        if p.grad is not None: p.grad = p.grad * factor": 1,
    },
    "mask": {
        "def mask(parameters, hidden):\n    for p, h in zip(parameters, hidden):\n"
        "        if p.grad is not None: p.grad *= ~h": 1,
        "def mask(parameters, hidden):\n    for p, h in zip(parameters, hidden): p.grad[~h] = 0": 0,
    },
    "penalty": {
        "def penalty(parameters, l1, l2):\n    for p in parameters:\n"
        "        p.grad = p.grad + l1 * p.detach().sign() + l2 * p.detach()": 1,
        "def penalty(parameters, l1, l2):\n    for p in parameters:\n"
        "        if p.grad is not None: p.grad += l1 * p.detach().sign() + 2 * l2 * p.detach()": 0,
    },
    "clip": {
        "def clip(parameters, max_norm):\n    nn.utils.clip_grad_norm_(parameters, max_norm)": 2,
        "def clip(parameters, max_norm):\n"
        "    return nn.utils.clip_grad_norm_(parameters, max_norm)": 2,
        # each for itself
        "def clip(parameters, max_norm):\n"
        "    for p in parameters: nn.utils.clip_grad_norm_([p], max_norm)": 0,
        # shortens, and lengthens too
        "def clip(parameters, max_norm):\n"
        "    held = [p for p in parameters if p.grad is not None]\n"
        "    norm = torch.cat([p.grad.flatten() for p in held]).norm()\n"
        "    for p in held: p.grad *= max_norm / norm\n"
        "    return norm.item()": 2,
    },
    "masked_step": {
        "def masked_step(optimizer, hidden):\n"
        "    for p, h in hidden.items(): p.grad[h] = 0\n"
        "    optimizer.step()": 1,
        "def masked_step(optimizer, hidden): ...": 0,
        "def masked_step(optimizer, hidden): optimizer.step()": 0,
    },
    "freeze": {
        "def freeze(layer, optimizer): ...": 0,
        "def freeze(layer, optimizer): layer.requires_grad_(False)": 1,
        "def freeze(layer, optimizer): layer.eval()": 0,
        "def freeze(layer, optimizer):\n"
        "    for g in optimizer.param_groups:\n"
        "        for p in g['params']: p.requires_grad_(False)": 0,
        "def freeze(layer, optimizer):\n    for g in optimizer.param_groups: g['lr'] = 0.0": 0,
        "def freeze(layer, optimizer):\n"
        "    own = {id(p) for p in layer.parameters()}\n"
        "    for g in optimizer.param_groups:\n"
        "        g['params'] = [p for p in g['params'] if id(p) not in own]": 3,
    },
    "accumulate": {
        # divides by the number of parts
        ACCUMULATE
        + "    optimizer.zero_grad(); total = 0.0\n"
        + "    for x, y in micro_batches:\n"
        + "        v = loss(model(x), y) / len(micro_batches); v.backward(); total += v.item()\n"
        + "    optimizer.step(); return total": 2,
        # sums
        ACCUMULATE
        + "    optimizer.zero_grad()\n"
        + "    for x, y in micro_batches: loss(model(x), y).backward()\n"
        + "    optimizer.step()": 0,
        # puts the batch together again
        ACCUMULATE
        + "    x, y = (torch.cat(parts) for parts in zip(*micro_batches)); optimizer.zero_grad()\n"
        + "    v = loss(model(x), y); v.backward(); optimizer.step(); return v.item()": 0,
        # clears within the update
        ACCUMULATE
        + "    n = sum(len(x) for x, _ in micro_batches)\n"
        + "    for x, y in micro_batches:\n"
        + "        optimizer.zero_grad(); (loss(model(x), y) * len(x) / n).backward()\n"
        + "    optimizer.step()": 0,
        # never clears
        ACCUMULATE
        + "    n = sum(len(x) for x, _ in micro_batches); total = 0.0\n"
        + "    for x, y in micro_batches:\n"
        + "        v = loss(model(x), y) * len(x) / n; v.backward(); total += v.item()\n"
        + "    optimizer.step(); return total": 4,
    },
    "diagnose": {
        DIAGNOSE + "    return 'healthy'": 0,
        DIAGNOSE + "    return 'frozen'": 0,
        DIAGNOSE + "    return": 0,
        DIAGNOSE
        + "    if any(g['lr'] == 0 for g in optimizer.param_groups):\n"
        + "        return 'learning rate is zero'\n"
        + "    return 'healthy'": 3,
        DIAGNOSE
        + "    optimizer.zero_grad(); loss(model(x), y).backward()\n"
        + "    return 'no gradient' if any(p.grad is None for p in model.parameters())\\\n"
        + "        and all(p.requires_grad for p in model.parameters()) else 'healthy'": 2,
    },
}
