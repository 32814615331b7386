"""Solutions of lesson 09."""


def all_but(*lines):
    return "\n    ".join(["def all_but(model, name):", *lines])


CAUSES = {
    "A": "cleared-before-step",
    "B": "not-cleared",
    "C": "detached",
    "D": "update-too-small",
    "E": "frozen",
    "F": "vanishing",
    "G": "not-in-model",
}


def ward(**changed):
    return f"diagnosis = {CAUSES | changed}"


NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
MODULE_LIST = NET.format(
    init="self.layers = nn.ModuleList([nn.Linear(8, 16)]); self.head = nn.Linear(16, 1)",
    forward="return self.head(self.layers[0](x).tanh())",
)
SQUEEZED = MODULE_LIST.replace(".tanh())", ".tanh()).squeeze(-1)")
PLAIN_LIST = MODULE_LIST.replace("nn.ModuleList([nn.Linear(8, 16)])", "[nn.Linear(8, 16)]")
ATTRIBUTES = NET.format(
    init="self.body, self.head = nn.Linear(8, 16), nn.Linear(16, 1)",
    forward="return self.head(self.body(x).tanh())",
)
SEQUENTIAL = NET.format(
    init="self.all = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))",
    forward="return self.all(x)",
)
ADDED = NET.format(
    init="self.add_module('body', nn.Linear(8, 16)); self.head = nn.Linear(16, 1)",
    forward="return self.head(torch.tanh(self.body(x)))",
)
BROKEN_LOSS = "loss = ((model(x).squeeze(-1) - y) ** 2).mean()"
LOSS = "loss = ((model(x) - y) ** 2).mean()"
CLEAR, BACKWARD, STEP = "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"


def mended(net, *lines):
    return net + "\n\ndef update(model, optimizer, x, y):\n    " + "\n    ".join(lines)


RIGHT = {
    "ex-allbut": [
        all_but("return [p for n, p in model.named_parameters() if n != name]"),
        all_but("left = dict(model.named_parameters())", "del left[name]", "return left.values()"),
        all_but(
            "out = model.get_parameter(name)",
            "return [p for p in model.parameters() if p is not out]",
        ),
        all_but("return (p for n, p in model.named_parameters() if not n == name)"),
        all_but(
            "found = []",
            "for each, p in model.named_parameters():",
            "    if each == name:",
            "        continue",
            "    found.append(p)",
            "return tuple(found)",
        ),
        all_but(
            "out = dict(model.named_parameters())[name]",
            "return list(filter(lambda p: id(p) != id(out), model.parameters()))",
        ),
    ],
    "ex-ward": [
        ward(),
        "diagnosis = dict(zip('ABCDEFG', " + repr(list(CAUSES.values())) + "))",
        ward(A="Cleared-before-step", E="FROZEN"),
        ward(C="`detached`", D=" update-too-small "),
        ward(B="not_cleared", G="not_in_model"),
        ward(H="frozen"),
    ],
    "ex-mend": [
        mended(MODULE_LIST, CLEAR, LOSS, BACKWARD, STEP),
        mended(ATTRIBUTES, "loss = nn.functional.mse_loss(model(x), y)", CLEAR, BACKWARD, STEP),
        mended(SEQUENTIAL, LOSS, BACKWARD, STEP, CLEAR),
        mended(SQUEEZED, CLEAR, "loss = ((model(x) - y.squeeze(-1)) ** 2).mean()", BACKWARD, STEP),
        mended(
            ADDED,
            "model.zero_grad()",
            "loss = ((model(x).squeeze(-1) - y.squeeze(-1)) ** 2).mean()",
            BACKWARD,
            STEP,
            "return loss.item()",
        ),
        mended(
            MODULE_LIST,
            "for p in model.parameters():",
            "    p.grad = None",
            "loss = (model(x).view(-1) - y.view(-1)).square().sum() / len(x)",
            BACKWARD,
            STEP,
        ),
    ],
}

WRONG = {
    "ex-allbut": [
        all_but("return list(model.parameters())[:-1]"),
        all_but("return list(model.parameters())"),
        all_but("return [n for n, _ in model.named_parameters() if n != name]"),
        all_but("return [(n, p) for n, p in model.named_parameters() if n != name]"),
        all_but("return [p for n, p in model.named_parameters() if name not in n]"),
        all_but("return [p for n, p in model.named_parameters() if not n.endswith(name)]"),
        all_but("return [p for n, p in model.named_parameters() if not n.startswith(name)]"),
        all_but("return [p for n, p in model.named_parameters() if n == name]"),
        all_but(
            "out = model.get_parameter(name)",
            "return [p for p in model.parameters() if p.shape != out.shape]",
        ),
        all_but(
            "out = model.get_parameter(name)",
            "return [p for p in model.parameters() if not torch.equal(p, out)]",
        ),
        all_but(
            "model.get_parameter(name).requires_grad_(False)",
            "return [p for p in model.parameters() if p.requires_grad]",
        ),
        all_but(
            "return [nn.Parameter(p.detach().clone())",
            "        for n, p in model.named_parameters() if n != name]",
        ),
        all_but("pass"),
    ],
    "ex-ward": [
        "diagnosis = {}",
        "diagnosis = dict.fromkeys('ABCDEFG', 'frozen')",
        "diagnosis = " + repr(list(CAUSES.values())),
        ward(A="not-cleared"),
        ward(C="frozen", E="detached"),
        ward(D="vanishing"),
        ward(F="update-too-small"),
        ward(G="not-in-optimizer"),
        ward(B=None),
        ward(G="detached"),
    ],
    "ex-mend": [
        mended(PLAIN_LIST, BROKEN_LOSS, BACKWARD, STEP),
        mended(MODULE_LIST, CLEAR, BROKEN_LOSS, BACKWARD, STEP),
        mended(MODULE_LIST, LOSS, BACKWARD, STEP),
        mended(PLAIN_LIST, CLEAR, LOSS, BACKWARD, STEP),
        mended(SQUEEZED, CLEAR, LOSS, BACKWARD, STEP),
        mended(MODULE_LIST, CLEAR, LOSS, BACKWARD, CLEAR, STEP),
        mended(MODULE_LIST, CLEAR, LOSS, STEP, BACKWARD),
        mended(MODULE_LIST, CLEAR, LOSS, BACKWARD),
        mended(MODULE_LIST, CLEAR, LOSS, BACKWARD, STEP, STEP),
        mended(MODULE_LIST, CLEAR, "loss = -((model(x) - y) ** 2).mean()", BACKWARD, STEP),
        mended(
            MODULE_LIST.replace("(x).tanh()", "(x).detach().tanh()"), CLEAR, LOSS, BACKWARD, STEP
        ),
        mended(SEQUENTIAL.replace("16", "64"), CLEAR, LOSS, BACKWARD, STEP),
        mended(SEQUENTIAL.replace("(16, 1)", "(16, 2)"), CLEAR, LOSS, BACKWARD, STEP),
        mended(MODULE_LIST, CLEAR, "loss = model(x).mean()", BACKWARD, STEP),
    ],
}
