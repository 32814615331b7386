"""Solutions of lesson 05."""

SAFE = "if p.grad is not None:"


def penalty(*lines, context="no_grad", ask=SAFE):
    body = "\n                ".join(lines)
    return (
        f"def add_penalty(parameters, l1, l2):\n    with torch.{context}():\n"
        f"        for p in parameters:\n            {ask}\n                {body}"
    )


def decoupled(line, context="no_grad", ask=SAFE, last="optimizer.step()", first="pass"):
    return (
        f"def decoupled_step(optimizer, decay):\n    {first}\n    with torch.{context}():\n"
        "        for group in optimizer.param_groups:\n            for p in group['params']:\n"
        f"                {ask}\n                    {line}\n    {last}"
    )


def shrink(*lines, context="no_grad"):
    body = "\n        ".join(lines)
    return f"def shrink(w, amount):\n    with torch.{context}():\n        {body}"


DECAY = "p.mul_(1 - group['lr'] * decay)"

RIGHT = {
    "ex-penalty": [
        penalty("p.grad.add_(l1 * p.sign())", "p.grad.add_(l2 * p)"),
        penalty("p.grad += l1 * p.sign() + l2 * p"),
        penalty("p.grad.add_(p.sign(), alpha=l1).add_(p, alpha=l2)"),
        penalty("p.grad += l1 * torch.sign(p)", "p.grad += l2 * p"),
        penalty("p.grad.add_(l1 * p.detach().sign() + l2 * p.detach())", context="enable_grad"),
        penalty("p.grad.copy_(p.grad + l1 * p.sign() + l2 * p)"),
    ],
    "ex-decoupled": [
        decoupled(DECAY),
        decoupled("p *= 1 - group['lr'] * decay"),
        decoupled("p.sub_(group['lr'] * decay * p)"),
        decoupled("p.add_(p, alpha=-group['lr'] * decay)"),
        decoupled("p.copy_(p * (1 - decay * group['lr']))"),
        "@torch.no_grad()\ndef decoupled_step(optimizer, decay):\n"
        "    for group in optimizer.param_groups:\n"
        "        moving = [p for p in group['params'] if p.grad is not None]\n"
        "        torch._foreach_mul_(moving, 1 - group['lr'] * decay)\n"
        "    optimizer.step()",
    ],
    "ex-shrink": [
        shrink("w.copy_(w.sign() * (w.abs() - amount).clamp(min=0))"),
        shrink("w.copy_(torch.nn.functional.softshrink(w, amount))"),
        shrink("w.sub_(w.clamp(-amount, amount))"),
        shrink("w -= torch.clamp(w, -amount, amount)"),
        shrink("w[:] = torch.where(w.abs() > amount, w - amount * w.sign(), 0.0)"),
        "@torch.no_grad()\ndef shrink(w, amount):\n"
        "    small = w.abs() <= amount\n    w.sub_(amount * w.sign())\n    w[small] = 0",
    ],
}

WRONG = {
    "ex-penalty": [
        penalty("p.grad.add_(l1 * p.sign() + 2 * l2 * p)"),
        penalty("p.grad.add_(l1 * p / p.abs() + l2 * p)"),
        penalty("p.grad.add_(l1 + l2 * p)"),
        penalty("p.grad.add_(l2 * p)"),
        penalty("p.sub_(l1 * p.sign() + l2 * p)"),
        penalty("p.grad.add_(l1 * p.sign() + l2 * p)", context="enable_grad"),
        penalty("p.grad.add_(l1 * p.sign() + l2 * p)", ask="if True:"),
        penalty("p.grad += l1 * p.sign() + l2 * p", ask="if True:"),
        penalty("p.grad.data.add_(l1 * p.sign() + l2 * p)"),
        penalty("p.grad = (p.grad + l1 * p.sign() + l2 * p).data"),
        penalty("p.grad.sub_(l1 * p.sign() + l2 * p)"),
        "def add_penalty(parameters, l1, l2):\n    pass",
    ],
    "ex-decoupled": [
        decoupled("p.grad.add_(decay * p)"),
        decoupled("p.mul_(1 - decay)"),
        decoupled(DECAY, ask="if True:"),
        decoupled(DECAY, context="enable_grad"),
        decoupled("p.mul_(1 - optimizer.param_groups[0]['lr'] * decay)"),
        decoupled(DECAY, last="pass"),
        decoupled(DECAY, first="optimizer.step()", last="pass"),
        decoupled("p.mul_(1 + group['lr'] * decay)"),
        decoupled("p.grad.mul_(1 - group['lr'] * decay)"),
        decoupled("group['weight_decay'] = decay"),
        "def decoupled_step(optimizer, decay):\n    optimizer.step()",
    ],
    "ex-shrink": [
        shrink("w.sub_(amount * w.sign())"),
        shrink("w.copy_((w - amount).clamp(min=0))"),
        shrink("w[w.abs() < amount] = 0"),
        shrink("w.mul_(1 - amount)"),
        shrink("w.copy_((w.abs() - amount).clamp(min=0))"),
        shrink("w = w.sign() * (w.abs() - amount).clamp(min=0)"),
        shrink("return w.sign() * (w.abs() - amount).clamp(min=0)"),
        shrink("w.copy_(w.sign() * (w.abs() - amount).clamp(min=0))", context="enable_grad"),
        shrink("w.data = w.sign() * (w.abs() - amount).clamp(min=0)"),
        shrink("w.data.copy_(w.sign() * (w.abs() - amount).clamp(min=0))"),
    ],
}
