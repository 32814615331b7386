"""Solutions of lesson 15."""


def groups(
    lr='lr if name.startswith("head.") else lr / 10',
    decay="decay if p.dim() >= 2 else 0.0",
    learning="if p.requires_grad",
):
    return f"""def groups_for(model, lr, decay):
    return [
        {{"params": [p], "lr": {lr}, "weight_decay": {decay}}}
        for name, p in model.named_parameters() {learning}
    ]
"""


BUCKETS = """def groups_for(model, lr, decay):
    buckets = {}
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        rate = lr if name.split(".")[0] == "head" else 0.1 * lr
        buckets.setdefault((rate, decay * (p.ndim > 1)), []).append(p)
    return [
        {"params": parameters, "lr": rate, "weight_decay": shrink}
        for (rate, shrink), parameters in buckets.items()
    ]
"""
FOUR = """def groups_for(model, lr, decay):
    learning = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    head = [(n, p) for n, p in learning if n[:5] == "head."]
    body = [(n, p) for n, p in learning if n[:5] != "head."]
    found = []
    for part, rate in ((head, lr), (body, lr / 10)):
        flat, wide = [p for _, p in part if p.dim() < 2], [p for _, p in part if p.dim() > 1]
        found.append({"params": flat, "lr": rate, "weight_decay": 0})
        found.append({"params": wide, "lr": rate, "weight_decay": decay})
    return found
"""
BY_ID = """def groups_for(model, lr, decay):
    head = {id(p) for p in model.get_submodule("head").parameters()}

    def settings(p):
        rate = lr if id(p) in head else lr / 10
        return dict(params=[p], lr=rate, weight_decay=0 if len(p.shape) < 2 else decay)

    return [settings(p) for p in model.parameters() if p.requires_grad]
"""
NAMED = """import re


def groups_for(model, lr, decay):
    made = []
    for name, p in model.named_parameters():
        group = {"params": p, "lr": lr / 10, "weight_decay": decay}
        if re.match(r"head\\.", name):
            group["lr"] = lr
        if p.dim() <= 1:
            group["weight_decay"] = 0.0
        if p.requires_grad:
            made.append(group)
    return made
"""
BY_NAME = """def groups_for(model, lr, decay):
    found = []
    for name, p in model.named_parameters():
        if p.requires_grad:
            shrink = 0.0 if name.endswith("bias") else decay
            rate = lr if name.startswith("head.") else lr / 10
            found.append({"params": [p], "lr": rate, "weight_decay": shrink})
    return found
"""
TWICE = """def groups_for(model, lr, decay):
    every = [p for p in model.parameters() if p.requires_grad]
    head = [p for n, p in model.named_parameters() if n.startswith("head.") and p.requires_grad]
    return [
        {"params": every, "lr": lr / 10, "weight_decay": decay},
        {"params": head, "lr": lr, "weight_decay": decay},
    ]
"""
HEAD_ALONE = """def groups_for(model, lr, decay):
    return [
        {"params": [p], "lr": lr, "weight_decay": decay if p.dim() > 1 else 0}
        for n, p in model.named_parameters()
        if n.startswith("head.") and p.requires_grad
    ]
"""


def lora(
    *makes, gives="self.linear(x) + x @ self.A.T @ self.B.T", kept="linear.requires_grad_(False)"
):
    inside = "".join(f"        {line}\n" for line in makes)
    return f"""class LoRA(nn.Module):
    def __init__(self, linear, rank):
        super().__init__()
        self.linear = {kept}
{inside}
    def forward(self, x):
        return {gives}
"""


A = "self.A = nn.Parameter(torch.randn(rank, linear.in_features))"
B = "self.B = nn.Parameter(torch.zeros(linear.out_features, rank))"
SUBMODULES = lora(
    "self.down = nn.Linear(linear.in_features, rank, bias=False)",
    "self.up = nn.Linear(rank, linear.out_features, bias=False)",
    "nn.init.zeros_(self.up.weight)",
    gives="self.linear(x) + self.up(self.down(x))",
)

RIGHT = {
    "ex-groups": [groups(), BUCKETS, FOUR, BY_ID, NAMED],
    "ex-lora": [
        lora(A, B),
        SUBMODULES,
        lora(
            A,
            B,
            gives="nn.functional.linear(x, self.linear.weight + self.B @ self.A, self.linear.bias)",
        ),
        lora(
            "self.A = nn.Parameter(torch.zeros(rank, linear.in_features))",
            "self.B = nn.Parameter(torch.randn(linear.out_features, rank))",
        ),
        "import copy\n\n\n"
        + lora(
            A,
            B,
            kept="copy.deepcopy(linear).requires_grad_(False)",
            gives='self.linear(x) + 0.5 * torch.einsum("ni,ri,or->no", x, self.A, self.B)',
        ),
    ],
}

WRONG = {
    "ex-groups": [
        "def groups_for(model, lr, decay):\n    pass",
        groups(lr="lr"),
        groups(lr='lr if "head" in name else lr / 10'),
        groups(lr='lr if name.startswith("head") else lr / 10'),
        groups(lr='lr / 10 if name.startswith("head.") else lr'),
        groups(decay="decay"),
        groups(decay="decay if p.dim() == 2 else 0.0"),
        groups(learning=""),
        BY_NAME,
        TWICE,
        HEAD_ALONE,
        "def groups_for(model, lr, decay):\n    return list(model.parameters())",
    ],
    "ex-lora": [
        "class LoRA(nn.Module):\n    pass",
        lora(A, "self.B = nn.Parameter(torch.randn(linear.out_features, rank))"),
        lora("self.A = nn.Parameter(torch.zeros(rank, linear.in_features))", B),
        lora(A, B, kept="linear"),
        lora(A.replace("nn.Parameter", ""), B.replace("nn.Parameter", "")),
        lora(A.replace("rank", "1"), B.replace("rank", "1")),
        lora(A, B, gives="x @ self.A.T @ self.B.T"),
        lora(A, B, gives="self.linear(x) + torch.relu(x @ self.A.T) @ self.B.T"),
        lora(A, B, gives="self.linear(x) + torch.tanh(x @ self.A.T) @ self.B.T"),
        lora(A, B, "self.requires_grad_(False)"),
        lora(A, B, gives="self.linear(x) + (x @ self.A.T @ self.B.T).detach()"),
        lora(
            "self.B = nn.Parameter(torch.zeros_like(linear.weight))",
            gives="self.linear(x) + x @ self.B.T",
        ),
        SUBMODULES.replace(", bias=False", ""),
    ],
}
