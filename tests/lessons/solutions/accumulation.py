"""Solutions of lesson 06."""


def accumulate(*lines):
    return "\n    ".join(["def accumulate(model, parts):", *lines])


def over_parts(
    clear="model.zero_grad()",
    total="sum(len(y) for x, y in parts)",
    weight="len(y) / total",
    part="loss.item()",
    end="whole",
):
    return accumulate(
        clear,
        f"whole, total = 0.0, {total}",
        "for x, y in parts:",
        f"    loss = F.mse_loss(model(x), y) * {weight}",
        "    loss.backward()",
        f"    whole += {part}",
        f"return {end}",
    )


def epoch(*lines):
    return "\n    ".join(["def train_epoch(model, optimizer, batches, k):", *lines])


def groups(
    clear="optimizer.zero_grad()", weight="len(y) / sum(len(b) for a, b in group)", end="steps"
):
    return epoch(
        "steps = 0",
        "for first in range(0, len(batches), k):",
        "    group = batches[first : first + k]",
        f"    {clear}",
        "    for x, y in group:",
        f"        (F.mse_loss(model(x), y) * {weight}).backward()",
        "    optimizer.step()",
        "    steps += 1",
        f"return {end}",
    )


def counted(when, divisor="k", after="optimizer.zero_grad()"):
    return epoch(
        "steps = 0",
        "optimizer.zero_grad()",
        "for i, (x, y) in enumerate(batches):",
        f"    (F.mse_loss(model(x), y) / {divisor}).backward()",
        f"    if {when}:",
        "        optimizer.step()",
        f"        {after}",
        "        steps += 1",
        "return steps",
    )


LAST_TOO = "(i + 1) % k == 0 or i + 1 == len(batches)"

RIGHT = {
    "ex-accumulate": [
        over_parts(),
        over_parts(clear="model.zero_grad(set_to_none=False)", part="float(loss.detach())"),
        over_parts(total="len(torch.cat([y for x, y in parts]))", part="loss.detach().item()"),
        over_parts(part="loss.detach().numpy()", end="np.float64(whole)").replace(
            "    model", "    import numpy as np\n    model", 1
        ),
        accumulate(
            "for p in model.parameters():",
            "    p.grad = None",
            "total = sum(y.shape[0] for x, y in parts)",
            "losses = []",
            "for x, y in parts:",
            "    loss = F.mse_loss(model(x), y, reduction='sum') / total",
            "    loss.backward()",
            "    losses.append(loss.item())",
            "return sum(losses)",
        ),
        accumulate(
            "for p in model.parameters():",
            "    p.grad = torch.zeros_like(p)",
            "whole, total = 0.0, sum(len(y) for x, y in parts)",
            "for x, y in parts:",
            "    loss = F.mse_loss(model(x), y) * len(y) / total",
            "    grads = torch.autograd.grad(loss, list(model.parameters()))",
            "    for p, g in zip(model.parameters(), grads):",
            "        p.grad += g",
            "    whole += loss.item()",
            "return whole",
        ),
        "import functools\n"
        "def logged(function):\n"
        "    @functools.wraps(function)\n"
        "    def call(*args):\n"
        "        return function(*args)\n"
        "    return call\n\n@logged\n" + over_parts(),
    ],
    "ex-epoch": [
        groups(),
        groups(end="-(-len(batches) // k)"),
        groups(clear="model.zero_grad()", end="np.int64(steps)").replace(
            "    steps", "    import numpy as np\n    steps", 1
        ),
        epoch(
            "firsts = range(0, len(batches), k)",
            "for first in firsts:",
            "    accumulate(model, batches[first : first + k])",
            "    optimizer.step()",
            "return len(firsts)",
        ).replace("def train", over_parts() + "\n\ndef train"),
        epoch(
            "steps, seen = 0, 0",
            "optimizer.zero_grad()",
            "for i, (x, y) in enumerate(batches):",
            "    F.mse_loss(model(x), y, reduction='sum').backward()",
            "    seen += len(y)",
            f"    if {LAST_TOO}:",
            "        for p in model.parameters():",
            "            p.grad /= seen",
            "        optimizer.step()",
            "        optimizer.zero_grad()",
            "        steps, seen = steps + 1, 0",
            "return steps",
        ),
        epoch(
            "steps, rest = 0, list(batches)",
            "while rest:",
            "    group, rest = rest[:k], rest[k:]",
            "    total = sum(len(y) for _, y in group)",
            "    optimizer.zero_grad(set_to_none=False)",
            "    for x, y in group:",
            "        ((model(x) - y).square().sum() / total).backward()",
            "    optimizer.step()",
            "    steps += 1",
            "return steps",
        ),
    ],
}

WRONG = {
    "ex-accumulate": [
        over_parts(weight="1 / len(parts)"),
        over_parts(weight="1"),
        over_parts(weight="len(y)"),
        over_parts(clear="pass"),
        over_parts(part="loss"),
        over_parts(end="loss.item()"),
        over_parts(end="None"),
        over_parts(end="True"),
        over_parts(part="loss.item() / len(parts)"),
        over_parts().replace(
            "        loss.backward", "        model.zero_grad()\n        loss.backward"
        ),
        over_parts().replace(
            "    return",
            "    for p in model.parameters():\n        p.data -= 0.1 * p.grad\n    return",
        ),
        accumulate("return 0.0"),
        accumulate(
            "model.zero_grad()",
            "x, y = (torch.cat(column) for column in zip(*parts))",
            "loss = F.mse_loss(model(x), y)",
            "loss.backward()",
            "return loss.item()",
        ),
        accumulate(
            "model.zero_grad()",
            "total = sum(len(y) for x, y in parts)",
            "loss = sum(F.mse_loss(model(x), y) * len(y) / total for x, y in parts)",
            "loss.backward()",
            "return loss.item()",
        ),
    ],
    "ex-epoch": [
        counted("(i + 1) % k == 0"),
        counted(LAST_TOO),
        counted(LAST_TOO, after="pass"),
        counted("True", divisor="1"),
        groups(weight="1 / len(group)"),
        groups(weight="1 / k"),
        groups(weight="1"),
        groups(clear="pass"),
        groups(end="None"),
        groups(end="len(batches)"),
        groups(end="float(steps)"),
        groups().replace("steps = 0", "steps = 0\n    batches = batches[: len(batches) // k * k]"),
        epoch(
            "steps = 0",
            "for first in range(0, len(batches), k):",
            "    x, y = (torch.cat(each) for each in zip(*batches[first : first + k]))",
            "    optimizer.zero_grad()",
            "    F.mse_loss(model(x), y).backward()",
            "    optimizer.step()",
            "    steps += 1",
            "return steps",
        ),
    ],
}
