"""Solutions of lesson 14."""

HEAD = "def watch(model):\n    norms, handles = {}, []\n"


def watch(*lines, named="model.named_parameters()", frozen="if p.requires_grad:", after=""):
    inside = "".join(f"            {line}\n" for line in lines)
    return (
        f"{HEAD}    for name, p in {named}:\n        {frozen}\n            norms[name] = []\n"
        f"{inside}{after}    return norms, handles\n"
    )


def hooked(hook, method="register_hook"):
    return watch(f"handles.append(p.{method}({hook}))")


PARTIAL = """from functools import partial


def keep(kept, gradient):
    kept.append(torch.linalg.vector_norm(gradient))


def watch(model):
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    norms = {name: [] for name in learning}
    return norms, [p.register_hook(partial(keep, norms[name])) for name, p in learning.items()]
"""
CLOSURE = """from collections import defaultdict


def watch(model):
    norms = defaultdict(list)

    def writer(name):
        def write(gradient):
            norms[name].append(float(gradient.square().sum()) ** 0.5)

        return write

    handles = []
    for name, p in model.named_parameters():
        if p.requires_grad:
            handles.append(p.register_hook(writer(name)))
    return norms, handles
"""
DIFFERENCE = """def watch(model):
    norms, before, handles = {}, {}, []

    def added(p):
        name = names[p]
        own = p.grad - before[name]
        before[name] = p.grad.clone()
        norms[name].append(own.norm().item())

    names = {p: name for name, p in model.named_parameters() if p.requires_grad}
    for p, name in names.items():
        norms[name], before[name] = [], torch.zeros_like(p)
        handles.append(p.register_post_accumulate_grad_hook(added))
    return norms, handles
"""
TRY = """class Writer:
    def __init__(self):
        self.kept = []

    def __call__(self, gradient):
        self.kept.append(gradient.norm().item())
        return gradient


def watch(model):
    norms, handles = {}, []
    for name, p in model.named_parameters():
        writer = Writer()
        try:
            handles.append(p.register_hook(writer))
        except RuntimeError:
            continue
        norms[name] = writer.kept
    return norms, tuple(handles)
"""
MODULES = """def watch(model):
    norms, handles = {}, []
    for name, layer in model.named_modules():
        if hasattr(layer, "weight"):
            norms[f"{name}.weight"] = kept = []
            handles.append(
                layer.register_full_backward_hook(lambda m, a, b, k=kept: k.append(b[0].norm()))
            )
    return norms, handles
"""
NOW = """def watch(model):
    norms = {name: [] for name, p in model.named_parameters() if p.requires_grad}
    for name, p in model.named_parameters():
        if p.grad is not None:
            norms[name].append(p.grad.norm().item())
    return norms, []
"""


def clip(
    *lines, register="optimizer.register_step_pre_hook(clip)", arguments="optimizer, args, kwargs"
):
    inside = "".join(f"        {line}\n" for line in lines)
    return (
        f"def clip_before_step(optimizer, max_norm):\n    def clip({arguments}):\n{inside}\n"
        f"    return {register}\n"
    )


HELD = 'held = [p for group in optimizer.param_groups for p in group["params"]]'
ONE_LINE = """def clip_before_step(optimizer, max_norm):
    held = sum((group["params"] for group in optimizer.param_groups), [])
    return optimizer.register_step_pre_hook(
        lambda *_: (nn.utils.clip_grad_norm_(held, max_norm), None)[1]
    )
"""
PARTS = """def clip_before_step(optimizer, max_norm):
    for group in optimizer.param_groups:
        for p in group["params"]:
            handle = p.register_hook(lambda g: g * min(1, max_norm / g.norm()))
    return handle
"""
ALONE = """def clip_before_step(optimizer, max_norm):
    def clip(p):
        p.grad *= min(1, max_norm / p.grad.norm())

    for group in optimizer.param_groups:
        for p in group["params"]:
            handle = p.register_post_accumulate_grad_hook(clip)
    return handle
"""

RIGHT = {
    "ex-watch": [
        hooked("lambda g, kept=norms[name]: kept.append(g.norm().item())"),
        PARTIAL,
        CLOSURE,
        DIFFERENCE,
        TRY,
    ],
    "ex-clip": [
        clip(HELD, "nn.utils.clip_grad_norm_(held, max_norm)"),
        ONE_LINE,
        "from gradwidgets import Clip, edit_gradients\n\n\n"
        "def clip_before_step(optimizer, max_norm):\n"
        "    return edit_gradients(optimizer, Clip(max_norm))\n",
        clip(
            HELD,
            "gradients = [p.grad for p in held if p.grad is not None]",
            "norm = torch.stack([g.norm() for g in gradients]).norm()",
            "for g in gradients:",
            "    g.mul_(torch.clamp(max_norm / norm, max=1))",
        ),
        clip(
            HELD,
            "gradients = [p.grad for p in held if p.grad is not None]",
            "norm = sum(float((g**2).sum()) for g in gradients) ** 0.5",
            "if norm > max_norm:",
            "    torch._foreach_mul_(gradients, max_norm / norm)",
            arguments="*_",
        ),
    ],
}

WRONG = {
    "ex-watch": [
        "def watch(model):\n    pass",
        "def watch(model):\n    return [], []",
        'def watch(model):\n    return {"0.weight": None}, []',
        'def watch(model):\n    return {"0.weight": [None, None]}, []',
        hooked("lambda g, kept=norms[name]: kept.append(g.abs())"),
        hooked("lambda g: norms[name].append(g.norm().item())"),
        hooked(
            "lambda p, kept=norms[name]: kept.append(p.grad.norm().item())",
            "register_post_accumulate_grad_hook",
        ),
        hooked("lambda g, kept=norms[name]: kept.append(g.norm().item()) or g / g.norm()"),
        hooked("lambda g, kept=norms[name]: kept.append(g.div_(2).norm().item() * 2)"),
        hooked("lambda g, kept=norms[name]: kept.append(g.norm()) or kept[-1]"),
        hooked("lambda g, kept=norms[name]: kept.append(g.square().sum().item())"),
        hooked("lambda g, kept=norms[name]: kept.append(g.abs().mean().item())"),
        watch("p.register_hook(lambda g, kept=norms[name]: kept.append(g.norm().item()))"),
        watch(
            "handles.append(p.register_hook(lambda g, kept=norms[name]: kept.append(g.norm())))",
            frozen="if True:",
        ),
        MODULES,
        NOW,
    ],
    "ex-clip": [
        "def clip_before_step(optimizer, max_norm):\n    pass",
        clip(HELD, "return nn.utils.clip_grad_norm_(held, max_norm)"),
        clip('nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], max_norm)'),
        clip(
            "for group in optimizer.param_groups:",
            '    nn.utils.clip_grad_norm_(group["params"], max_norm)',
        ),
        clip(HELD, "nn.utils.clip_grad_value_(held, max_norm)"),
        clip(
            HELD,
            "nn.utils.clip_grad_norm_(held, max_norm)",
            register="optimizer.register_step_post_hook(clip)",
        ),
        clip(HELD, "nn.utils.clip_grad_norm_(held, 1.0)"),
        clip(
            HELD,
            "nn.utils.clip_grad_norm_(held, max_norm)",
            register="optimizer.register_step_pre_hook(clip) and None",
        ),
        clip(
            HELD,
            "norm = torch.stack([p.grad.norm() for p in held if p.grad is not None]).norm()",
            "for p in held:",
            "    if p.grad is not None:",
            "        p.grad *= max_norm / norm",
        ),
        clip(HELD, "nn.utils.clip_grad_norm_(held, max_norm)", register="clip(optimizer, (), {})"),
        clip(HELD, "nn.utils.clip_grad_norm_(held, max_norm)", arguments="optimizer"),
        PARTS,
        ALONE,
    ],
}
