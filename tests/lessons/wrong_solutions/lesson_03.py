"""Wrong solutions of lesson 03, by exercise; its checks refuse them all."""

CLEAR = "    optimizer.zero_grad()\n"
MUL = "    for p in model.parameters(): p.grad.mul_(c)\n"
LR = "    optimizer.param_groups[0]['lr'] *= c\n"
STEP = """def {name}(model, optimizer, x, y{c}):
{first}    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
{line}    optimizer.step()
    return {end}
"""

WRONG = {
    "ex-scaled": [
        STEP.format(name="scaled_step", c=", c", first=CLEAR, line="", end="loss.item()"),
        STEP.format(name="scaled_step", c=", c", first="", line=MUL, end="loss.item()"),
        STEP.format(name="scaled_step", c=", c", first=CLEAR, line=MUL, end="loss"),
        STEP.format(name="scaled_step", c=", c", first=CLEAR, line=LR, end="loss.item()"),
        STEP.format(name="scaled_step", c=", c", first=CLEAR, line=CLEAR, end="loss.item()"),
    ],
    "ex-shorten": [
        "def shorten(optimizer, c):\n    optimizer.param_groups[0]['lr'] *= c",
        "def shorten(optimizer, c):\n    for g in optimizer.param_groups:\n        g['lr'] /= c",
        "def shorten(optimizer, c):\n    for g in optimizer.param_groups:\n"
        "        for p in g['params']:\n            p.grad.mul_(c)",
    ],
    "ex-next": [
        "def next_step(beta, c):\n    return beta * c",
        "def next_step(beta, c):\n    return beta + c",
        "def next_step(beta, c):\n    return str(beta + (1 - beta) * c)",
    ],
    "ex-largest": [
        "def largest_scale(loss, w, lr):\n    return 1 / lr",
        "def largest_scale(loss, w, lr):\n    return 2 / lr",
        "def largest_scale(loss, w, lr):\n"
        "    return 2 / torch.linalg.eigvalsh("
        "torch.autograd.functional.hessian(loss, w))[-1].item()",
    ],
}
