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
RATE = """
def learning_rate(update, peak, warmup, total):
"""
LOOP = """
def scheduled_loop(model, optimizer, loss, batches, schedule):
"""
UPDATE = "optimizer.zero_grad(); loss(model(x), y).backward(); optimizer.step()\n"
GROUPS = """
def make_groups(model, head, lr, head_lr, decay):
"""
UNFREEZE = """
def unfreeze(layers, optimizer, count):
"""
ADD = """
    held = {p for group in optimizer.param_groups for p in group["params"]}
    for layer in layers[len(layers) - count:]:
        for p in layer.parameters():
            p.requires_grad_(True)
            if p not in held: optimizer.add_param_group({"params": [p]})
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
    "learning_rate": {
        # counts from 1: the first update has 0
        RATE
        + "    if update < warmup: return peak * update / warmup\n"
        + "    return peak * max(total - update, 0) / (total - warmup)": 0,
        # falls like a cosine
        RATE
        + "    import math\n"
        + "    if update < warmup: return peak * (update + 1) / warmup\n"
        + "    share = min((update - warmup) / (total - warmup), 1)\n"
        + "    return peak * 0.5 * (1 + math.cos(math.pi * share))": 0,
        # falls from the start of the run
        RATE + "    return peak * min((update + 1) / max(warmup, 1), (total - update) / total)": 0,
        # stays at the peak
        RATE + "    return peak * min((update + 1) / warmup, 1.0) if warmup else peak": 0,
        # divides by zero without warm-up
        RATE
        + "    up = (update + 1) / warmup\n"
        + "    return peak * min(up, 1.0, max(total - update, 0) / (total - warmup))": 3,
        # negative after the end
        RATE
        + "    if update < warmup: return peak * (update + 1) / warmup\n"
        + "    return peak * (total - update) / (total - warmup)": 3,
        # an integer after the end
        RATE
        + "    if update >= total: return 0\n"
        + "    if update < warmup: return peak * (update + 1) / warmup\n"
        + "    return peak * (total - update) / (total - warmup)": 3,
        # a tensor
        RATE + "    return torch.tensor(peak * (update + 1) / max(warmup, 1))": 0,
        # by a scheduler of torch's: right
        RATE
        + "    rise = lambda n: (n + 1) / warmup if n < warmup else max(total - n, 0) / "
        + "(total - warmup)\n"
        + "    o = torch.optim.SGD([torch.zeros(1)], lr=peak)\n"
        + "    s = torch.optim.lr_scheduler.LambdaLR(o, rise)\n"
        + "    for _ in range(update): o.step(); s.step()\n"
        + "    return o.param_groups[0]['lr']": 4,
        # as the smaller of two lines: right
        RATE
        + "    rise = (update + 1) / warmup if warmup > update else 1.0\n"
        + "    fall = (total - update) / (total - warmup)\n"
        + "    return float(peak * max(0.0, min(rise, fall)))": 4,
    },
    "scheduled_loop": {
        # ignores the schedule
        LOOP + "    for x, y in batches: " + UPDATE: 0,
        # the factor is taken for the learning rate
        LOOP
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        for g in optimizer.param_groups: g['lr'] = schedule(n)\n"
        + "        "
        + UPDATE: 0,
        # multiplies what was multiplied before
        LOOP
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        for g in optimizer.param_groups: g['lr'] *= schedule(n)\n"
        + "        "
        + UPDATE: 0,
        # one update too late
        LOOP
        + "    before = [g['lr'] for g in optimizer.param_groups]\n"
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        "
        + UPDATE
        + "        for g, lr in zip(optimizer.param_groups, before): g['lr'] = lr * schedule(n)": 0,
        # never clears
        LOOP
        + "    before = [g['lr'] for g in optimizer.param_groups]\n"
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        for g, lr in zip(optimizer.param_groups, before): g['lr'] = lr * schedule(n)\n"
        + "        loss(model(x), y).backward(); optimizer.step()": 0,
        # the first group's for all
        LOOP
        + "    lr = optimizer.param_groups[0]['lr']\n"
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        for g in optimizer.param_groups: g['lr'] = lr * schedule(n)\n"
        + "        "
        + UPDATE
        + "    for g in optimizer.param_groups: g['lr'] = lr": 2,
        # only the first group
        LOOP
        + "    lr = optimizer.param_groups[0]['lr']\n"
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        optimizer.param_groups[0]['lr'] = lr * schedule(n)\n"
        + "        "
        + UPDATE
        + "    optimizer.param_groups[0]['lr'] = lr": 2,
        # leaves the last learning rate behind
        LOOP
        + "    before = [g['lr'] for g in optimizer.param_groups]\n"
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        for g, lr in zip(optimizer.param_groups, before): g['lr'] = lr * schedule(n)\n"
        + "        "
        + UPDATE: 3,
        # scales the gradient instead: with plain SGD the same, with momentum not
        LOOP
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        optimizer.zero_grad(); (schedule(n) * loss(model(x), y)).backward()\n"
        + "        optimizer.step()": 3,
        # with torch's scheduler, and puts back: right
        LOOP
        + "    before = [g['lr'] for g in optimizer.param_groups]\n"
        + "    for g in optimizer.param_groups: g.pop('initial_lr', None)\n"
        + "    s = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)\n"
        + "    for x, y in batches:\n"
        + "        optimizer.zero_grad(); loss(model(x), y).backward()\n"
        + "        optimizer.step(); s.step()\n"
        + "    for g, lr in zip(optimizer.param_groups, before): g['lr'] = lr": 4,
        # puts back after each update: right
        LOOP
        + "    for n, (x, y) in enumerate(batches):\n"
        + "        before = [g['lr'] for g in optimizer.param_groups]\n"
        + "        for g in optimizer.param_groups: g['lr'] = g['lr'] * schedule(n)\n"
        + "        "
        + UPDATE
        + "        for g, lr in zip(optimizer.param_groups, before): g['lr'] = lr": 4,
    },
    "make_groups": {
        GROUPS + "    ...": 0,
        # everything decays
        GROUPS
        + "    heads = set(head.parameters())\n"
        + "    body = [p for p in model.parameters() if p not in heads]\n"
        + "    return [{'params': body, 'lr': lr, 'weight_decay': decay},\n"
        + "            {'params': list(heads), 'lr': head_lr, 'weight_decay': decay}]": 0,
        # the head is held twice
        GROUPS
        + "    return [{'params': [p], 'lr': lr, 'weight_decay': decay * (p.ndim > 1)}\n"
        + "            for p in model.parameters()] + [{'params': list(head.parameters()),\n"
        + "            'lr': head_lr, 'weight_decay': 0.0}]": 0,
        # the head's lr is forgotten
        GROUPS
        + "    return [{'params': [p], 'lr': lr, 'weight_decay': decay * (p.ndim > 1)}\n"
        + "            for p in model.parameters()]": 0,
        # says nothing of the decay of biases: the optimizer's own is used
        GROUPS
        + "    heads = set(head.parameters())\n"
        + "    return [{'params': [p], 'lr': head_lr if p in heads else lr,\n"
        + "             **({'weight_decay': decay} if p.ndim > 1 else {})}\n"
        + "            for p in model.parameters()]": 0,
        # biases are left out
        GROUPS
        + "    heads = set(head.parameters())\n"
        + "    return [{'params': [p], 'lr': head_lr if p in heads else lr,\n"
        + "             'weight_decay': decay} for p in model.parameters() if p.ndim > 1]": 0,
        # a tuple
        GROUPS + "    return tuple({'params': [p], 'lr': lr} for p in model.parameters())": 0,
        # goes by the name: the weights of norms decay
        GROUPS
        + "    heads = set(head.parameters())\n"
        + "    return [{'params': [p], 'lr': head_lr if p in heads else lr,\n"
        + "             'weight_decay': decay * name.endswith('weight')}\n"
        + "            for name, p in model.named_parameters()]": 3,
        # goes through the modules: a shared weight is held twice
        GROUPS
        + "    heads = set(head.parameters())\n"
        + "    return [{'params': [p], 'lr': head_lr if p in heads else lr,\n"
        + "             'weight_decay': decay * (p.ndim > 1)}\n"
        + "            for m in model.modules() for p in m.parameters(recurse=False)]": 3,
        # sees only what lies at the top
        GROUPS
        + "    return [{'params': [p], 'lr': head_lr if m is head else lr,\n"
        + "             'weight_decay': decay * (p.ndim > 1)}\n"
        + "            for m in model for p in m.parameters(recurse=False)]": 0,
        # four groups, norms by their type: right
        GROUPS
        + "    norms = {p for m in model.modules() if isinstance(m, nn.LayerNorm)\n"
        + "             for p in m.parameters()}\n"
        + "    heads, found = {id(p) for p in head.parameters()}, {}\n"
        + "    for name, p in model.named_parameters():\n"
        + "        plain = p in norms or name.endswith('bias')\n"
        + "        found.setdefault((id(p) in heads, plain), []).append(p)\n"
        + "    return [{'params': ps, 'lr': head_lr if of_head else lr,\n"
        + "             'weight_decay': 0 if plain else decay}\n"
        + "            for (of_head, plain), ps in found.items()]": 4,
    },
    "unfreeze": {
        UNFREEZE + "    ...": 0,
        # everything at once
        UNFREEZE + "    for layer in layers: layer.requires_grad_(True)": 0,
        # from the front
        UNFREEZE + "    for i, layer in enumerate(layers): layer.requires_grad_(i < count)": 0,
        # one layer too few
        UNFREEZE
        + "    for i, layer in enumerate(layers): layer.requires_grad_(i > len(layers) - count)": 0,
        # only the newest layer trains
        UNFREEZE
        + "    for i, layer in enumerate(layers):\n"
        + "        layer.requires_grad_(i == len(layers) - count)": 0,
        # freezes nothing, and adds what is there already
        UNFREEZE
        + "    for layer in layers[-count:]: optimizer.add_param_group("
        + "{'params': list(layer.parameters())})": 0,
        # leaves old gradients
        UNFREEZE
        + "    for i, layer in enumerate(layers):\n"
        + "        layer.requires_grad_(i >= len(layers) - count)": 2,
        # sets old gradients to zero
        UNFREEZE
        + "    for i, layer in enumerate(layers):\n"
        + "        layer.requires_grad_(i >= len(layers) - count)\n"
        + "        for p in layer.parameters():\n"
        + "            if i < len(layers) - count: p.grad = torch.zeros_like(p)": 2,
        # clears, but adds nothing to the optimizer
        UNFREEZE
        + "    for i, layer in enumerate(layers):\n"
        + "        layer.requires_grad_(i >= len(layers) - count)\n"
        + "        if i < len(layers) - count: layer.zero_grad()": 3,
        # adds with a learning rate of its own
        UNFREEZE
        + "    for layer in layers[:len(layers) - count]: layer.requires_grad_(False).zero_grad()"
        + ADD.replace("[p]}", '[p], "lr": 0.001}'): 3,
        # adds each layer when its turn comes, and again in the next call
        UNFREEZE
        + "    for layer in layers[:len(layers) - count]: layer.requires_grad_(False).zero_grad()\n"
        + "    layers[-count].requires_grad_(True)\n"
        + "    if len(optimizer.param_groups[0]['params']) < 6 and count > 1:\n"
        + "        optimizer.add_param_group({'params': list(layers[-count].parameters())})": 4,
        # clears the frozen, adds the missing: right
        UNFREEZE
        + "    for layer in layers[:len(layers) - count]: layer.requires_grad_(False).zero_grad()"
        + ADD: 5,
        # puts them into the group that is there: right
        UNFREEZE
        + "    own = optimizer.param_groups[0]['params']\n"
        + "    for i, layer in enumerate(layers):\n"
        + "        for p in layer.parameters():\n"
        + "            p.requires_grad = i >= len(layers) - count\n"
        + "            if not p.requires_grad: p.grad = None\n"
        + "            elif all(p is not q for g in optimizer.param_groups for q in g['params']):\n"
        + "                own.append(p)": 5,
    },
}
