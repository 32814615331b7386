"""Wrong solutions of lesson 11, by exercise; its checks refuse them all."""

MEASURED = """def step_for(make_optimizer, gradient):
    p = nn.Parameter(torch.tensor([{start}], dtype=torch.float64))
    optimizer = make_optimizer([p])
    p.grad = torch.tensor([gradient], dtype=torch.float64)
    optimizer.step()
    return {step}


def halves(make_optimizer):
    full, half = step_for(make_optimizer, 1.0), step_for(make_optimizer, 0.5)
    return {answer}
"""
CLOSE = "abs(half - full / 2) < 1e-6"

WRONG = {
    "ex-halves": [
        "def halves(make_optimizer):\n    return True",
        "def halves(make_optimizer):\n    return 'yes'",
        "def halves(make_optimizer):\n"
        "    return 'SGD' in type(make_optimizer([nn.Parameter(torch.ones(1))])).__name__",
        MEASURED.format(start="0.0", step="p.item()", answer=CLOSE),
        MEASURED.format(start="1.0", step="p.item()", answer=CLOSE),
        MEASURED.format(start="1.0", step="abs(p.item() - 1.0)", answer="half < full"),
    ]
}
