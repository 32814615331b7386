"""Solutions of lesson 04."""


def hide(line):
    return f"def hide(p, fraction):\n    if p.grad is not None:\n        {line}"


def keeping(*lines):
    return "\n    ".join(["def step_keeping(optimizer, p, keep):", *lines])


COUNT = "round(fraction * p.numel())"
COPY, STEP = "before = p.detach().clone()", "optimizer.step()"
WRITE_BACK = "with torch.no_grad(): p[keep] = before[keep]"

RIGHT = {
    "ex-hide": [
        hide(f"p.grad.view(-1)[:{COUNT}] = 0"),
        hide(f"p.grad.flatten()[:{COUNT}].zero_()"),
        hide(f"p.grad[(torch.arange(p.numel()) < {COUNT}).view(p.shape)] = 0"),
        hide(f"p.grad.mul_((torch.arange(p.numel()) >= {COUNT}).view_as(p))"),
        hide(f"p.grad = p.grad * (torch.arange(p.numel()) >= {COUNT}).view_as(p)"),
        "import functools\n"
        "def quiet(f):\n"
        "    return functools.wraps(f)(torch.no_grad()(f))\n"
        f"@quiet\n{hide(f'p.grad.reshape(-1)[:{COUNT}].fill_(0)')}",
        "def make(value):\n"
        "    def inner(p, fraction):\n"
        "        if p.grad is None: return\n"
        f"        p.grad.view(-1)[:{COUNT}] = value\n"
        "    return inner\n"
        "hide = make(0)",
    ],
    "ex-keeping": [
        keeping(COPY, STEP, WRITE_BACK),
        keeping("kept = p[keep].detach().clone()", STEP, "with torch.no_grad(): p[keep] = kept"),
        keeping(COPY, STEP, "with torch.no_grad(): p.copy_(torch.where(keep, before, p))"),
        "@torch.no_grad()\n" + keeping(COPY, STEP, "p[keep] = before[keep]"),
        keeping(COPY, "p.grad[keep] = 0", STEP, WRITE_BACK),
        keeping(COPY, STEP, "p.detach()[keep] = before[keep]"),
        keeping(
            COPY,
            "def back(*_):",
            "    with torch.no_grad(): p.masked_scatter_(keep, before[keep])",
            "handle = optimizer.register_step_post_hook(back)",
            STEP,
            "handle.remove()",
        ),
    ],
}

WRONG = {
    "ex-hide": [
        "def hide(p, fraction):\n    pass",
        hide("p.grad[: round(fraction * len(p.grad))] = 0"),
        hide("p.grad.view(-1)[: int(fraction * p.numel())] = 0"),
        hide(f"p.grad.view(-1)[p.numel() - {COUNT} :] = 0"),
        hide(f"p.data.view(-1)[:{COUNT}] = 0"),
        hide("p.grad = None"),
        hide("p.grad.zero_()"),
        hide(f"p.grad = p.grad.view(-1)[{COUNT}:]"),
        hide(f"p.grad.data.view(-1)[:{COUNT}] = 0"),
        hide(f"p.grad.numpy().reshape(-1)[:{COUNT}] = 0"),
        hide("p.grad *= 1 - fraction"),
        f"def hide(p, fraction):\n    p.grad.view(-1)[:{COUNT}] = 0",
        "def hide(p, fraction):\n    p.grad = torch.zeros_like(p)",
    ],
    "ex-keeping": [
        keeping(STEP),
        keeping("p.grad[keep] = 0", STEP),
        keeping("p.requires_grad_(False)", STEP),
        keeping("before = p.detach()", STEP, WRITE_BACK),
        keeping(COPY, STEP, "p[keep] = before[keep]"),
        keeping(COPY, STEP, "p.data = before"),
        keeping(COPY, STEP, "p.data[keep] = before[keep]"),
        keeping(COPY, STEP, "p.data = torch.where(keep, before, p)"),
        keeping(COPY, "p.grad = None", STEP, WRITE_BACK),
        keeping(COPY, STEP, "with torch.no_grad(): p[~keep] = before[~keep]"),
        keeping(COPY, STEP, STEP, WRITE_BACK),
        keeping(
            COPY,
            "def back(*_):",
            "    with torch.no_grad(): p[keep] = before[keep]",
            "optimizer.register_step_post_hook(back)",
            STEP,
        ),
        keeping("with torch.no_grad(): p[~keep] -= 0.1 * p.grad[~keep]"),
    ],
}
