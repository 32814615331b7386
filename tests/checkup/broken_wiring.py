"""Loops in which model, optimizer and graph do not hold on to each other."""

from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, broken, cnn, images, mlp, regression, sequences, times, usual


@broken("not-in-optimizer", source="zjunlp/HVPNeT#5")
def crf_and_head_left_out_of_the_groups() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam([{"params": model[0].parameters()}], lr=1e-3)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("not-in-optimizer", source="Why are PyTorch parameters not updating? (tutorial)")
def last_parameter_sliced_off() -> Loop:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear1, self.linear2 = nn.Linear(10, 5), nn.Linear(5, 1)
            self.shift = nn.Parameter(torch.randn(5))

        def forward(self, x):
            return self.linear2(self.linear1(x)) + self.shift

    model, x, y = Shifted(), torch.randn(64, 10), torch.randn(64, 5)
    optimizer = optim.SGD(list(model.parameters())[:-1], lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("not-in-optimizer", source="ronghuaiyang/arcface-pytorch#20")
def metric_head_not_given() -> Loop:
    body, head = mlp(out=8), nn.Linear(8, 4, bias=False)
    x, y = torch.randn(16, 8), torch.randint(4, (16,))
    optimizer = optim.SGD(body.parameters(), lr=0.1)
    return usual([body, head], optimizer, lambda: F.cross_entropy(head(body(x)), y))


@broken("not-in-optimizer", source="KellerJordan/Muon#54")
def matrices_only_optimizer() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD([p for p in model.parameters() if p.ndim >= 2], lr=0.1)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))


@broken("unregistered", source="ikostrikov/pytorch-meta-optimizer#11")
def cells_in_a_python_list() -> Loop:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = [nn.LSTMCell(4, 4) for _ in range(2)]
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


@broken("unregistered", source="pytorch/pytorch issues: raw tensor as weight")
def raw_tensor_as_weight() -> Loop:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 4)
            self.scale = torch.randn(4, 1, requires_grad=True)

        def forward(self, x):
            return self.linear(x) @ self.scale

    model, (x, y) = Scaled(), regression()
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y))


@broken("unregistered", source="pytorch forum: parameter times constant is no leaf")
def parameter_hidden_behind_a_product() -> Loop:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 1)
            self.gate = nn.Parameter(torch.ones(1)) * 0.5

        def forward(self, x):
            return self.linear(x) * self.gate

    model, (x, y) = Gated(), regression()
    loss = lambda: F.mse_loss(model(x), y)  # noqa: E731
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        optimizer.zero_grad()
        loss().backward(retain_graph=True)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("unregistered", source="pytorch forum: heads in a dict")
def heads_in_a_plain_dict() -> Loop:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(8, 8)
            self.heads = {"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)}

        def forward(self, x):
            hidden = torch.relu(self.body(x))
            return sum(head(hidden) for head in self.heads.values())

    model, (x, y) = Heads(), regression()
    return usual(model, optim.RMSprop(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 1)


@broken("not-in-model", source="spro/practical-pytorch#9")
def model_made_twice() -> Loop:
    first = mlp()
    optimizer = optim.SGD(first.parameters(), lr=0.005)
    model, (x, y) = mlp(), regression()
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("not-in-model", source="pytorch forum: new head after the optimizer")
def head_replaced_after_optimizer() -> Loop:
    model, (x, y) = cnn(10), images(classes=3)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    model[-1] = nn.Linear(24, 3)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y), 1)


@broken("not-in-model", source="pytorch forum: optimizer of the original, training the copy")
def deep_copy_trained() -> Loop:
    original = mlp()
    optimizer = optim.AdamW(original.parameters())
    model, (x, y) = copy.deepcopy(original), regression()
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 2)


@broken("not-in-model", source="pytorch/pytorch#188346")
def loaded_with_assign_after_optimizer() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    model.load_state_dict({k: v.clone() for k, v in model.state_dict().items()}, assign=True)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("not-in-model", "duplicate", source="facebookresearch/lingua#74")
def tied_after_the_optimizer() -> Loop:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)

        def forward(self, x):
            return self.out(self.table(x))

    model, x = Language(), sequences()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    model.out.weight = model.table.weight
    return usual(
        model, optimizer, lambda: F.cross_entropy(model(x[:, :-1]).transpose(1, 2), x[:, 1:])
    )


@broken("duplicate", source="pytorch/pytorch#188346")
def tie_lost_in_loading() -> Loop:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
            self.out.weight = self.table.weight

        def forward(self, x):
            return self.out(self.table(x))

    model, x = Language(), sequences()
    state = OrderedDict((k, v.clone()) for k, v in model.state_dict().items())
    model.load_state_dict(state, assign=True)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(
        model, optimizer, lambda: F.cross_entropy(model(x[:, :-1]).transpose(1, 2), x[:, 1:])
    )


@broken("duplicate", source="pytorch/pytorch#40967 (same parameter twice in a group)")
def parameters_listed_twice() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD([*model.parameters(), *model[2].parameters()], lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("frozen", source="pytorch/pytorch#9241")
def everything_frozen() -> Loop:
    model, (x, y) = mlp(), regression()
    model.requires_grad_(False)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("frozen", source="ultralytics/yolov5#1213")
def backbone_still_frozen() -> Loop:
    model, (x, y) = cnn(), images()
    model[0].requires_grad_(False)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.cross_entropy(model(x), y))


@broken("frozen", source="CSCYQJ/MICCAI23-ProtoContra-SFDA#18")
def flag_set_on_the_module() -> Loop:
    model, (x, y) = mlp(), regression()
    model[2].requires_grad = False
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y), 1)


@broken("detached", source="vturrisi/solo-learn#135")
def features_detached() -> Loop:
    body, head = mlp(out=8), nn.Linear(8, 1)
    (x, y), model = regression(), nn.ModuleDict()
    model["body"], model["head"] = body, head
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.mse_loss(head(body(x).detach()), y))


@broken("detached", source="pytorch/pytorch#1339")
def argmax_between_two_modules() -> Loop:
    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 5), nn.Embedding(5, 1)

        def forward(self, x):
            return self.second(self.first(x).argmax(1))

    model, (x, y) = Chain(), regression()
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y), 2)


@broken("detached", source="pytorch forum: numpy in forward")
def numpy_in_forward() -> Loop:
    class Filter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.after(torch.from_numpy(np.abs(self.before(x).detach().numpy())))

    model, (x, y) = Filter(), regression()
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y))


@broken("detached", source="golfgang in samet-akcay/skip-ganomaly#5")
def data_attribute_of_hidden_layer() -> Loop:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.c(torch.tanh(self.b(torch.tanh(self.a(x)).data)))

    model, (x, y) = Residual(), regression()
    return usual(model, optim.NAdam(model.parameters()), lambda: F.mse_loss(model(x), y))


@broken("detached", "no-graph", source="pytorch forum: output wrapped in a new tensor")
def output_rebuilt_as_new_tensor() -> Loop:
    model, (x, y) = mlp(), regression()

    def loss():
        return F.mse_loss(torch.tensor(model(x).tolist(), requires_grad=True), y)

    return usual(model, optim.SGD(model.parameters(), lr=0.1), loss)


@broken("detached", source="pytorch forum: layer defined and never called")
def layer_never_called() -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.forgotten, self.b = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.b(torch.relu(self.a(x)))

    model, (x, y) = Net(), regression()
    return usual(model, optim.Adam(model.parameters()), lambda: F.mse_loss(model(x), y), 1)


@broken("detached", source="ndrplz/ConvLSTM_pytorch#21 (encoder under no_grad)")
def encoder_under_no_grad() -> Loop:
    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x):
            with torch.no_grad():
                _, hidden = self.encoder(x)
            return self.decoder(hidden[-1])

    model, x, y = Translator(), torch.randn(8, 5, 4), torch.randint(2, (8,))
    return usual(model, optim.Adam(model.parameters()), lambda: F.cross_entropy(model(x), y), 3)


@broken("eval-mode", source="fartashf/vsepp#4")
def validation_leaves_eval_mode() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def train():
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                model(x)

    return Loop(model, optimizer, train)


@broken("eval-mode", source="ermongroup/ncsn#2")
def attention_in_eval_from_the_start() -> Loop:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    model = nn.Sequential(layer, nn.Linear(8, 1)).eval()
    x, y = torch.randn(4, 6, 8), torch.randn(4, 6, 1)
    return usual(model, optim.AdamW(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 2)
