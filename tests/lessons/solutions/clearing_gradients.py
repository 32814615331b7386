"""Solutions of lesson 02."""


def remember(*lines, grad="with torch.no_grad():"):
    body = "\n            ".join(lines)
    return (
        f"def remembering_step(model, memory, lr):\n    {grad}\n"
        f"        for p, total in zip(model.parameters(), memory):\n            {body}"
    )


def one_round(*lines, before="optimizer.zero_grad()", after="", last=""):
    body = "\n        ".join(lines)
    return (
        "def one_round(model, optimizer, batches, held_out):\n    measurements = []\n"
        f"    for x, y in batches:\n        {before}\n"
        f"        loss = F.mse_loss(model(x), y)\n        loss.backward()\n        {after}\n"
        f"        optimizer.step()\n        {body}\n        {last}\n    return measurements"
    )


ADD, MOVE = "total.add_(p.grad)", "p.sub_(lr * total)"
MEASURE = "measured = F.mse_loss(model(held_out[0]), held_out[1])"
KEEP = "measurements.append({})"

RIGHT = {
    "ex-remember": [
        remember(ADD, MOVE),
        remember("total += p.grad", "p -= lr * total"),
        "@torch.no_grad()\n" + remember(ADD, "p.add_(total, alpha=-lr)", grad="if True:"),
        "def remembering_step(model, memory, lr):\n"
        "    for i, p in enumerate(model.parameters()):\n"
        "        memory[i] = memory[i] + p.grad\n"
        "        with torch.no_grad():\n"
        "            p.copy_(p - lr * memory[i])",
        "def remembering_step(model, memory, lr):\n"
        "    for p, total in zip(model.parameters(), memory):\n"
        "        p.grad.add_(total)\n"
        "        total.copy_(p.grad)\n"
        "    torch.optim.SGD(model.parameters(), lr=lr).step()",
        "def make():\n"
        "    def inner(model, memory, lr):\n"
        "        with torch.no_grad():\n"
        "            torch._foreach_add_(memory, [p.grad for p in model.parameters()])\n"
        "            torch._foreach_add_(list(model.parameters()), memory, alpha=-lr)\n"
        "    return inner\n"
        "remembering_step = make()",
        remember(ADD, "p.detach().sub_(lr * total)", grad="if True:"),
    ],
    "ex-round": [
        one_round("with torch.no_grad():", f"    {MEASURE}", KEEP.format("measured.item()")),
        one_round("with torch.inference_mode():", f"    {MEASURE}", KEEP.format("float(measured)")),
        one_round(MEASURE, KEEP.format("measured.item()")),
        one_round(
            "import numpy as np", MEASURE, KEEP.format("np.float64(measured.detach().numpy())")
        ),
        one_round(
            "with torch.no_grad():",
            "    inputs, targets = held_out",
            "    measurements += [((model(inputs) - targets) ** 2).mean().item()]",
            before="model.zero_grad(set_to_none=False)",
        ),
        one_round(MEASURE, KEEP.format("measured.item()"), before="", last="optimizer.zero_grad()"),
    ],
}

WRONG = {
    "ex-remember": [
        remember("pass"),
        remember("p.sub_(lr * p.grad)", ADD),
        remember(MOVE, ADD),
        remember(ADD, "p.add_(lr * total)"),
        remember("total.mul_(0.9).add_(p.grad)", MOVE),
        remember("total.add_(p.grad).div_(2)", MOVE),
        remember("total = total + p.grad", MOVE),
        remember(ADD, "p = p - lr * total"),
        remember(ADD, "p.sub_(total)"),
        remember("total.add_(lr * p.grad)", MOVE),
        remember(ADD, MOVE, grad="if True:"),
        remember(ADD, "p.data.sub_(lr * total)"),
        remember(ADD, "p.data = p.data - lr * total"),
    ],
    "ex-round": [
        one_round(MEASURE, KEEP.format("measured")),
        one_round(MEASURE, KEEP.format("measured.detach()")),
        one_round(MEASURE, KEEP.format("str(measured.item())")),
        one_round(MEASURE, KEEP.format("measured.item()"), before=""),
        one_round(MEASURE, KEEP.format("measured.item()"), before="", after="model.zero_grad()"),
        one_round(KEEP.format("loss.item()")),
        one_round(MEASURE, KEEP.format("measured.item()"), before="", last="measured.backward()"),
        one_round(
            MEASURE,
            KEEP.format("measured.item()"),
            before="",
            last="optimizer.zero_grad(); measured.backward()",
        ),
        one_round(MEASURE, KEEP.format("measured.item()"), after=f"{MEASURE}; optimizer.step()"),
        one_round(MEASURE, "measurements = measured.item()"),
        one_round(MEASURE, "measurements = [measured.item()]"),
        one_round("measurements.append(0.0)"),
    ],
}
