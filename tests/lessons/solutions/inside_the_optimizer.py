"""Solutions of lesson 07."""


def rule(*lines):
    return "\n    ".join(["def nesterov(p, g, state, lr, beta):", *lines])


VELOCITY = ("v = state.setdefault('v', torch.zeros_like(p))", "v.mul_(beta).add_(g)")


def resuming(
    save="copy.deepcopy((model.state_dict(), optimizer.state_dict()))",
    model="model.load_state_dict(checkpoint[0])",
    optimizer="optimizer.load_state_dict(checkpoint[1])",
):
    return (
        f"def save(model, optimizer):\n    return {save}\n\n"
        f"def resume(checkpoint, model, optimizer):\n    {model}\n    {optimizer}"
    )


CLONED = "{name: p.clone() for name, p in model.state_dict().items()}"
BUFFER = """import io

def save(model, optimizer):
    buffer = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict()], buffer)
    return buffer.getvalue()

def resume(checkpoint, model, optimizer):
    found = torch.load(io.BytesIO(checkpoint))
    for part, state in zip((model, optimizer), found):
        part.load_state_dict(state)
"""
DECORATED = """def quietly(function):
    def call(*args):
        with torch.no_grad():
            return function(*args)
    return call

@quietly
"""

RIGHT = {
    "ex-nesterov": [
        rule(*VELOCITY, "p.add_(g.add(v, alpha=beta), alpha=-lr)"),
        rule(*VELOCITY, "p -= lr * (g + beta * v)"),
        rule("state['v'] = beta * state.get('v', 0) + g", "p.sub_(lr * (g + beta * state['v']))"),
        rule(
            "if 'velocity' not in state:",
            "    state['velocity'] = g.clone()",
            "else:",
            "    state['velocity'] = state['velocity'] * beta + g",
            "p.copy_(p - lr * (beta * state['velocity'] + g))",
        ),
        DECORATED + rule(*VELOCITY, "p.add_(g, alpha=-lr).add_(v, alpha=-lr * beta)"),
        rule(
            "old = state.get('gradients', [])",
            "state['gradients'] = [*old, g.clone()]",
            "v = sum(g * beta**n for n, g in enumerate(reversed(state['gradients'])))",
            "p -= lr * g + lr * beta * v",
        ),
    ],
    "ex-resume": [
        resuming(),
        resuming(
            save="{'m': copy.deepcopy(model.state_dict()),"
            " 'o': copy.deepcopy(optimizer.state_dict())}",
            model="model.load_state_dict(checkpoint['m'])",
            optimizer="optimizer.load_state_dict(checkpoint['o'])",
        ),
        resuming(save=f"({CLONED}, copy.deepcopy(optimizer.state_dict()))"),
        BUFFER,
        resuming(
            save="copy.deepcopy((list(model.parameters()), optimizer.state_dict()))",
            model="with torch.no_grad():\n        for p, old in zip(model.parameters(), "
            "checkpoint[0]):\n            p.copy_(old)",
        ),
        DECORATED.replace("quietly", "noted") + resuming(),
    ],
}

WRONG = {
    "ex-nesterov": [
        rule(*VELOCITY, "p.add_(v, alpha=-lr)"),
        rule(*VELOCITY, "p.sub_(lr * (v + beta * g))"),
        rule(*VELOCITY, "p = p - lr * (g + beta * v)"),
        rule(*VELOCITY, "p.add_(g + beta * v, alpha=lr)"),
        rule(*VELOCITY, "p.data -= lr * (g + beta * v)"),
        rule(*VELOCITY, "g.add_(v, alpha=beta)", "p.add_(g, alpha=-lr)"),
        rule("v = torch.zeros_like(p).add_(g)", "p.sub_(lr * (g + beta * v))"),
        rule("v = beta * state.get('v', 0) + g", "state['v'] = g", "p -= lr * (g + beta * v)"),
        rule("v = state.setdefault('v', g)", "p.sub_(lr * (g + beta * v))"),
        rule("p -= lr * g"),
        rule("return p"),
    ],
    "ex-resume": [
        resuming(save="(model.state_dict(), optimizer.state_dict())"),
        resuming(optimizer="pass"),
        resuming(model="pass"),
        resuming(save="(copy.deepcopy(model.state_dict()), optimizer.state_dict())"),
        resuming(save="(model.state_dict(), copy.deepcopy(optimizer.state_dict()))"),
        resuming(save="copy.copy((model.state_dict(), optimizer.state_dict()))"),
        resuming(save="None"),
        resuming(
            optimizer="optimizer.state_dict()['state'].update(checkpoint[1]['state'])\n"
            "    optimizer = checkpoint[1]"
        ),
        resuming(
            save="copy.deepcopy((model, optimizer))",
            model="model = checkpoint[0]",
            optimizer="optimizer = checkpoint[1]",
        ),
        resuming(
            save="(model, optimizer)",
            model="model.load_state_dict(checkpoint[0].state_dict())",
            optimizer="optimizer.load_state_dict(checkpoint[1].state_dict())",
        ),
        resuming(
            optimizer="optimizer.load_state_dict({**checkpoint[1], 'param_groups': "
            "optimizer.state_dict()['param_groups']})"
        ),
    ],
}
