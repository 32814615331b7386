"""Solutions of lesson 11."""

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
FRESH = """import copy
import numpy as np

def halves(make_optimizer):
    moves = []
    for g in (2.0, 1.0):
        layer = nn.Linear(3, 2)
        nn.init.constant_(layer.weight, 0.5)
        optimizer = make_optimizer([layer.weight])
        before = layer.weight.detach().clone()
        layer.weight.grad = torch.full_like(layer.weight, g)
        optimizer.step()
        moves.append(layer.weight.detach() - before)
    return {answer}
"""


def measured(start="1.0", step="p.item() - 1.0", answer=CLOSE):
    return MEASURED.format(start=start, step=step, answer=answer)


def made(line):
    return f"def make_optimizer(params):\n    return {line}"


RIGHT = {
    "ex-halves": [
        measured(),
        measured(answer="math.isclose(full, 2 * half, rel_tol=1e-6)").replace(
            "def step_for", "import math\n\n\ndef step_for"
        ),
        measured(start="-2.0", step="p.item() + 2.0"),
        FRESH.format(answer="bool(torch.allclose(moves[0], 2 * moves[1], atol=1e-6))"),
        FRESH.format(answer="np.allclose(moves[0], 2 * moves[1], atol=1e-6)"),
        FRESH.format(answer="np.bool_((moves[0] - 2 * moves[1]).abs().max().item() < 1e-6)"),
        FRESH.format(answer="((moves[0] - 2 * moves[1]).abs() < 1e-6).all()"),
    ],
    "ex-exception": [
        made("torch.optim.SGD(params, lr=0.1, momentum=0.9)"),
        made("torch.optim.SGD(params, lr=0.1, weight_decay=0.1)"),
        made("torch.optim.Adam(params)"),
        "make_optimizer = torch.optim.AdamW",
        "from functools import partial\n"
        "make_optimizer = partial(torch.optim.RMSprop, lr=0.01, momentum=0.5)",
        "make_optimizer = lambda params: torch.optim.NAdam(params, lr=0.01)",
        made("torch.optim.SGD([{'params': params, 'weight_decay': 0.01}], lr=0.1)"),
    ],
}

WRONG = {
    "ex-halves": [
        "def halves(make_optimizer):\n    ...",
        "def halves(make_optimizer):\n    return True",
        "def halves(make_optimizer):\n    return 'yes'",
        "def halves(make_optimizer):\n"
        "    return 'SGD' in type(make_optimizer([nn.Parameter(torch.ones(1))])).__name__",
        measured(start="0.0", step="p.item()"),
        measured(step="p.item()"),
        measured(step="abs(p.item() - 1.0)", answer="half < full"),
        measured(answer="half == full"),
        measured(answer="abs(half - full / 2)"),
        measured(answer="abs(half - full / 2) < 1"),
    ],
    "ex-exception": [
        made("..."),
        made("None"),
        made("torch.optim.SGD(params, lr=0.1)"),
        made("torch.optim.Adagrad(params, lr=0.1)"),
        made("torch.optim.RMSprop(params, lr=0.1)"),
        made("torch.optim.SGD(params, lr=0.0, momentum=0.9)"),
        made("torch.optim.LBFGS(params)"),
        made("torch.optim.Adam([nn.Parameter(torch.ones(1))])"),
        made("'Adam'"),
        "make_optimizer = torch.optim.Adam([nn.Parameter(torch.ones(1))])",
        made("torch.optim.SGD(params, lr=0.1, maximize=True)"),
        made("torch.optim.SGD(params, lr=float('nan'), momentum=0.9)"),
    ],
}
