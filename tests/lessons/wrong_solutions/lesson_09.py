"""Wrong solutions of lesson 09, by exercise; its checks refuse them all."""

WRONG = {
    "ex-allbut": [
        "def all_but(model, name):\n    return list(model.parameters())[:-1]",
        "def all_but(model, name):\n    return list(model.parameters())",
        "def all_but(model, name):\n    return [n for n, _ in model.named_parameters()]",
    ],
    "ex-ward": ["diagnosis = {}", "diagnosis = dict.fromkeys('ABCDEF', 'frozen')"],
    "ex-mend": [
        "def make():\n    model = Net()\n"
        "    return model, torch.optim.Adam(model.parameters(), lr=0.0)",
        "def make():\n    model = nn.Linear(8, 1)\n"
        "    return model, torch.optim.Adam(model.parameters())\n"
        "def update(model, optimizer, x, y):\n    optimizer.zero_grad()\n"
        "    nn.functional.mse_loss(model(x), y).backward()\n    optimizer.step()",
    ],
}
