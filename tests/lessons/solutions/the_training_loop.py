"""Solutions of lesson 08."""

HELD = 'held = [p for group in optimizer.param_groups for p in group["params"]]'
GRADS = "grads = [p.grad for p in held if p.grad is not None]"
CLIP = "norm = nn.utils.clip_grad_norm_(held, max_norm)"


def moves(*lines):
    return "\n    ".join(["def moves(order):", *lines])


def clip(*lines):
    return "\n    ".join(["def clip_held(optimizer, max_norm):", *lines])


RIGHT = {
    "ex-moves": [
        moves(
            'at = order.index("backward")',
            "rest = order[at:] + order[:at]",
            'return rest.index("step") < rest.index("zero_grad")',
        ),
        moves(
            'b, z, s = (order.index(name) for name in ("backward", "zero_grad", "step"))',
            "return (s - b) % 4 < (z - b) % 4",
        ),
        moves(
            "twice = order * 2",
            'for line in twice[order.index("backward") + 1 :]:',
            '    if line in ("step", "zero_grad"):',
            '        return line == "step"',
        ),
        moves(
            "import numpy as np",
            'b, z, s = (order.index(name) for name in ("backward", "zero_grad", "step"))',
            "return np.less((s - b) % 4, (z - b) % 4)",
        ),
        moves(
            "full = False",
            "for line in order * 2:",
            '    if line == "step" and full:',
            "        return True",
            '    full = line == "backward" or (full and line != "zero_grad")',
            "return False",
        ),
        "def same(function):\n    return function\n\n\n@same\n"
        + moves(
            'text = "".join(name[0] for name in order if name != "forward")',
            'return text in ("bsz", "zbs", "szb")',
        ),
    ],
    "ex-clip": [
        clip(HELD, "return nn.utils.clip_grad_norm_(held, max_norm).item()"),
        clip(HELD, CLIP, "return float(norm)"),
        clip(
            "held = []",
            "for group in optimizer.param_groups:",
            '    held += group["params"]',
            CLIP,
            "import numpy as np",
            "return np.float64(norm)",
        ),
        clip(
            HELD,
            GRADS,
            "norm = nn.utils.get_total_norm(grads)",
            "nn.utils.clip_grads_with_norm_(held, max_norm, norm)",
            "return norm.item()",
        ),
        clip(
            HELD,
            GRADS,
            "norm = sum(g.square().sum() for g in grads).sqrt().item()",
            "if norm > max_norm:",
            "    for g in grads:",
            "        g.mul_(max_norm / norm)",
            "return norm",
        ),
        clip(
            HELD,
            GRADS,
            "norm = torch.cat([g.flatten() for g in grads]).norm().item()",
            "for p in held:",
            "    if p.grad is not None:",
            "        p.grad = p.grad * min(1.0, max_norm / norm)",
            "return norm",
        ),
        f"import functools\n\n\n@functools.cache\ndef held_by(optimizer):\n    {HELD}\n"
        "    return held\n\n\n"
        + clip("return nn.utils.clip_grad_norm_(held_by(optimizer), max_norm).item()"),
    ],
}

WRONG = {
    "ex-moves": [
        moves("pass"),
        moves("return True"),
        moves("return 1"),
        moves('return "moves"'),
        moves('return order.index("backward") < order.index("step")'),
        moves('return order[0] == "zero_grad"'),
        moves('return order[-1] == "step"'),
        moves('return order.index("step") < order.index("zero_grad")'),
        moves(
            'return not order.index("backward") < order.index("zero_grad") < order.index("step")'
        ),
    ],
    "ex-clip": [
        clip(HELD, CLIP),
        clip(HELD, CLIP, "return norm"),
        clip(HELD, CLIP, "return min(norm.item(), max_norm)"),
        clip('held = optimizer.param_groups[0]["params"]', CLIP, "return norm.item()"),
        clip(HELD, "return sum(nn.utils.clip_grad_norm_(p, max_norm).item() for p in held)"),
        clip(
            "squares = 0.0",
            "for group in optimizer.param_groups:",
            '    norm = nn.utils.clip_grad_norm_(group["params"], max_norm).item()',
            "    squares += norm**2",
            "return squares**0.5",
        ),
        clip(
            HELD,
            GRADS,
            "norm = nn.utils.get_total_norm(grads).item()",
            "for g in grads:",
            "    g.mul_(max_norm / norm)",
            "return norm",
        ),
        clip(HELD, "nn.utils.clip_grad_value_(held, max_norm)", "return max_norm"),
        clip(HELD, "norm = nn.utils.clip_grad_norm_(held, max_norm, 1.0)", "return norm.item()"),
        clip(HELD, GRADS, "return nn.utils.get_total_norm(grads).item()"),
    ],
}
