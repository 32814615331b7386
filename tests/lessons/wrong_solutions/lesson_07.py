"""Wrong solutions of lesson 07, by exercise; its checks refuse them all."""

NESTEROV = "def nesterov(p, g, state, lr, beta):\n"
VELOCITY = "    v = state.setdefault('v', torch.zeros_like(p))\n    v.mul_(beta).add_(g)\n"
SAVE = "def save(model, optimizer):\n    return {}\n"
RESUME = """def resume(checkpoint, model, optimizer):
    model.load_state_dict(checkpoint[0])
    optimizer.load_state_dict(checkpoint[1])
"""
BOTH = "(model.state_dict(), optimizer.state_dict())"
MASKED = """def masked_step(model, optimizer, x, y):
    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
{inside}        return loss
{end}
"""
ZERO = "model.bias.grad.zero_()\n"
STEPPED = "    return optimizer.step(closure).item()"

WRONG = {
    "ex-nesterov": [
        NESTEROV + VELOCITY + "    p.add_(v, alpha=-lr)",
        NESTEROV + VELOCITY + "    p.sub_(lr * (v + beta * g))",
        NESTEROV + VELOCITY + "    p = p - lr * (g + beta * v)",
        NESTEROV + VELOCITY + "    g.add_(v, alpha=beta)\n    p.add_(g, alpha=-lr)",
        NESTEROV + "    v = torch.zeros_like(p).add_(g)\n    p.sub_(lr * (g + beta * v))",
    ],
    "ex-resume": [
        SAVE.format(BOTH) + RESUME,
        SAVE.format(f"copy.deepcopy({BOTH})") + RESUME.replace("    optimizer.load", "    # "),
        SAVE.format(f"copy.deepcopy({BOTH})") + RESUME.replace("    model.load", "    # "),
        SAVE.format("(copy.deepcopy(model.state_dict()), optimizer.state_dict())") + RESUME,
    ],
    "ex-closure": [
        MASKED.format(inside="", end=STEPPED),
        MASKED.format(inside="", end=f"    closure()\n    {ZERO}" + STEPPED),
        MASKED.format(inside="        " + ZERO, end="    return optimizer.step(closure)"),
        MASKED.format(
            inside="        " + ZERO, end="    optimizer.step(closure)\n    return closure().item()"
        ),
        MASKED.format(
            inside="",
            end=f"    loss = closure()\n    {ZERO}    optimizer.step(lambda: loss)\n"
            "    return loss.item()",
        ),
    ],
}
