"""Parameters that the model uses and does not list."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, THIRD, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import fit, mlp, regression, times, usual


@fault("unregistered", source="ikostrikov/pytorch-meta-optimizer#11", written=WITH_RULES)
def cells_in_a_python_list(repaired: bool) -> Loop:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            cells = [nn.LSTMCell(4, 4) for _ in range(2)]
            self.cells = nn.ModuleList(cells) if repaired else cells
            self.out = nn.Linear(4, 1)

        def forward(self, x):
            state = [(torch.zeros(len(x), 4), torch.zeros(len(x), 4)) for _ in self.cells]
            for step in x.unbind(1):
                for index, cell in enumerate(self.cells):
                    state[index] = cell(step, state[index])
                    step = state[index][0]
            return self.out(step)

    model, x, y = Stack(), torch.randn(8, 5, 4), torch.randn(8, 1)
    return usual(model, optim.Adam(model.parameters()), lambda: F.mse_loss(model(x), y))


@fault("unregistered", source="pytorch/pytorch issues: raw tensor as weight", written=WITH_RULES)
def raw_tensor_as_weight(repaired: bool) -> Loop:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, scale = nn.Linear(8, 4), torch.randn(4, 1, requires_grad=True)
            self.scale = nn.Parameter(scale) if repaired else scale

        def forward(self, x):
            return self.linear(x) @ self.scale

    model = Scaled()
    return fit(model, optim.SGD(model.parameters(), 0.01), 4)


@fault(
    "unregistered", source="pytorch forum: parameter times constant is no leaf", written=WITH_RULES
)
def parameter_hidden_behind_a_product(repaired: bool) -> Loop:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, ones = nn.Linear(8, 1), torch.ones(1)
            self.gate = nn.Parameter(ones * 0.5) if repaired else nn.Parameter(ones) * 0.5

        def forward(self, x):
            return self.linear(x) * self.gate

    model, (x, y) = Gated(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward(retain_graph=True)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault("unregistered", source="pytorch forum: heads in a dict", written=WITH_RULES)
def heads_in_a_plain_dict(repaired: bool) -> Loop:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(8, 8)
            heads = {"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)}
            self.heads = nn.ModuleDict(heads) if repaired else heads

        def forward(self, x):
            hidden = torch.relu(self.body(x))
            return sum(head(hidden) for head in self.heads.values())

    model = Heads()
    return fit(model, optim.RMSprop(model.parameters(), 1e-3), 1)


@fault("unregistered", source="pytorch forum: prompts in a list of parameters", written=FIRST)
def prompts_in_a_list(repaired: bool) -> Loop:
    class Prompted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(6, 2)
            prompts = [nn.Parameter(torch.randn(6)) for _ in range(3)]
            self.prompts = nn.ParameterList(prompts) if repaired else prompts

        def forward(self, x):
            return self.body(x + sum(self.prompts))

    model, x, y = Prompted(), torch.randn(11, 6), torch.randint(2, (11,))
    return usual(model, optim.Adamax(model.parameters()), lambda: F.cross_entropy(model(x), y), 6)


@fault("unregistered", source="pytorch/pytorch#715", written=SECOND)
def layers_appended_to_a_list(repaired: bool) -> Loop:
    kept = nn.ModuleList if repaired else list

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hids = kept()
            for _ in range(2):
                self.hids.append(kept([nn.Linear(8, 8), nn.Tanh()]))
            self.classifier = nn.Linear(8, 1)

        def forward(self, x):
            for linear, act in self.hids:
                x = act(linear(x))
            return self.classifier(x)

    model = Net()
    return fit(model, optim.Adam(model.parameters(), 1e-3), 1)


@fault("unregistered", source="asyml/texar-pytorch#72", written=SECOND)
def branches_in_a_tuple(repaired: bool) -> Loop:
    class Merge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            branches = (nn.Linear(8, 4), mlp(8, 8, 4))
            self.branches = nn.ModuleList(branches) if repaired else branches
            self.out = nn.Linear(4, 1)

        def forward(self, x):
            return self.out(sum(branch(x) for branch in self.branches))

    model = Merge()
    return fit(model, optim.RMSprop(model.parameters(), 1e-3))


@fault(
    "unregistered",
    source="stackoverflow 50463975: parameter moved with .to is no leaf",
    written=SECOND,
    single_precision="a tensor becomes another one where its dtype is not the default",
)
def parameter_converted_on_creation(repaired: bool) -> Loop:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, ones = nn.Linear(8, 1).double(), torch.ones(1)
            converted = nn.Parameter(ones).to(torch.float64)
            self.scale = nn.Parameter(ones.to(torch.float64)) if repaired else converted

        def forward(self, x):
            return self.linear(x.double()) * self.scale

    model = Scaled()
    optimizer = optim.SGD(model.parameters(), 0.01)
    return fit(model, optimizer, 1, lambda out, y: F.mse_loss(out, y.double()))


@fault("unregistered", source="pytorch/pytorch#666 (layers inside a plain object)", written=THIRD)
def layers_inside_a_plain_object(repaired: bool) -> Loop:
    class Helper(nn.Module if repaired else object):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.helper, self.out = Helper(), nn.Linear(8, 1)

        def forward(self, x):
            return self.out(torch.relu(self.helper.linear(x)))

    model = Net()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


class MadeByForward(nn.Module):
    """A layer and a head that the first forward makes, once it knows the width."""

    def __init__(self, registered: bool) -> None:
        super().__init__()
        self.body, self.registered = nn.Linear(8, 8), registered

    def forward(self, x):
        hidden = torch.relu(self.body(x))
        if not hasattr(self, "head"):
            head = (0.3 * torch.randn(hidden.shape[1], 1)).requires_grad_()
            self.head = nn.Parameter(head) if self.registered else head
        return hidden @ self.head


@fault("unregistered", source="common report: a weight made in the first forward", written=FIFTH)
def raw_tensor_made_in_the_first_forward(repaired: bool) -> Loop:
    model = MadeByForward(registered=repaired)
    if repaired:
        model(torch.zeros(1, 8))
    return fit(model, optim.SGD(model.parameters(), 0.01), 4)


@fault("unregistered", source="common report: layers built lazily into a list", written=FIFTH)
def list_of_layers_made_in_the_first_forward(repaired: bool) -> Loop:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.layers = nn.Linear(8, 8), nn.ModuleList() if repaired else []

        def forward(self, x):
            hidden = torch.relu(self.body(x))
            if not self.layers:
                self.layers += [nn.Linear(8, 8), nn.Linear(8, 1)]
            for layer in self.layers:
                hidden = layer(hidden)
            return hidden

    model = Lazy()
    if repaired:
        model(torch.zeros(1, 8))
    return fit(model, optim.Adam(model.parameters(), 1e-3), 4)


@fault(
    "unregistered", source="common report: a head for each task, made when it comes", written=FIFTH
)
def heads_made_as_tasks_come(repaired: bool) -> Loop:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.heads = nn.Linear(8, 8), nn.ModuleDict() if repaired else {}

        def forward(self, x, task):
            if task not in self.heads:
                self.heads[task] = nn.Linear(8, 1)
            return self.heads[task](torch.relu(self.body(x)))

    model, (x, y) = Heads(), regression()
    tasks = ["a", "b", "a", "b", "b", "a"]
    if repaired:
        for task in tasks:
            model(x, task)
    waiting = iter(tasks)
    optimizer = optim.SGD(model.parameters(), 0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x, next(waiting)), y), len(tasks))
