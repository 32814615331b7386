"""Wrong solutions of lesson 05, by exercise; its checks refuse them all."""

PENALTY = """def add_penalty(parameters, l1, l2):
    with torch.{context}():
        for p in parameters:
            if p.grad is not None:
                {line}
"""
REST = """def resting_place(x, y, l2):
    n, inputs = x.shape
    matrix = {matrix} * torch.eye(inputs, dtype=x.dtype)
    return torch.linalg.solve(matrix, 2 / n * x.T @ y){end}
"""
DECOUPLED = """def decoupled_step(optimizer, decay):
    with torch.{context}():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if {ask}:
                    {line}
    optimizer.step()
"""
THERE, SHRINK = (
    "p.grad is not None",
    "def shrink(w, amount):\n    with torch.no_grad():\n        {}",
)

WRONG = {
    "ex-penalty": [
        PENALTY.format(context="no_grad", line="p.grad.add_(l1 * p.sign() + 2 * l2 * p)"),
        PENALTY.format(context="no_grad", line="p.grad.add_(l1 * p / p.abs() + l2 * p)"),
        PENALTY.format(context="no_grad", line="p.grad.add_(l1 + l2 * p)"),
        PENALTY.format(context="no_grad", line="p.sub_(l1 * p.sign() + l2 * p)"),
        PENALTY.format(context="enable_grad", line="p.grad.add_(l1 * p.sign() + l2 * p)"),
        "def add_penalty(parameters, l1, l2):\n    with torch.no_grad():\n"
        "        for p in parameters:\n            p.grad.add_(l1 * p.sign() + l2 * p)",
    ],
    "ex-rest": [
        REST.format(matrix="2 / n * x.T @ x + 0", end=""),
        REST.format(matrix="2 / n * x.T @ x + 2 * l2", end=""),
        REST.format(matrix="2 / n * x.T @ x + n * l2", end=""),
        REST.format(matrix="2 / n * x.T @ x + l2", end=".flatten()"),
    ],
    "ex-decoupled": [
        DECOUPLED.format(context="no_grad", ask=THERE, line="p.grad.add_(decay * p)"),
        DECOUPLED.format(context="no_grad", ask=THERE, line="p.mul_(1 - decay)"),
        DECOUPLED.format(context="no_grad", ask="True", line="p.mul_(1 - group['lr'] * decay)"),
        DECOUPLED.format(context="enable_grad", ask=THERE, line="p.mul_(1 - group['lr'] * decay)"),
        DECOUPLED.format(
            context="no_grad", ask=THERE, line="p.mul_(1 - optimizer.param_groups[0]['lr'] * decay)"
        ),
    ],
    "ex-shrink": [
        SHRINK.format("w.sub_(amount * w.sign())"),
        SHRINK.format("w.copy_((w - amount).clamp(min=0))"),
        SHRINK.format("w[w.abs() < amount] = 0"),
        SHRINK.format("w.mul_(1 - amount)"),
        "def shrink(w, amount):\n    return w.sign() * (w.abs() - amount).clamp(min=0)",
        "def shrink(w, amount):\n    w.copy_(w.sign() * (w.abs() - amount).clamp(min=0))",
    ],
}
