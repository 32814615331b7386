"""Parameters that the loss's graph does not reach."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.utils.checkpoint import checkpoint

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, SIXTH, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import Autoencoder, classes, fit, mlp, regression, times, usual


@fault("detached", source="vturrisi/solo-learn#135", written=WITH_RULES)
def features_detached(repaired: bool) -> Loop:
    body, head = mlp(out=8), nn.Linear(8, 1)
    (x, y), model = regression(), nn.ModuleDict({"body": body, "head": head})

    def loss():
        features = body(x) if repaired else body(x).detach()
        return F.mse_loss(head(features), y)

    return usual(model, optim.Adam(model.parameters(), lr=1e-3), loss)


@fault("detached", source="pytorch/pytorch#1339", written=WITH_RULES)
def argmax_between_two_modules(repaired: bool) -> Loop:
    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 5), nn.Embedding(5, 1)

        def forward(self, x):
            scores = self.first(x)
            if repaired:
                return scores.softmax(1) @ self.second.weight
            return self.second(scores.argmax(1))

    model = Chain()
    return fit(model, optim.SGD(model.parameters(), 0.1), 2)


@fault("detached", source="pytorch forum: numpy in forward", written=WITH_RULES)
def numpy_in_forward(repaired: bool) -> Loop:
    class Filter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            if repaired:
                return self.after(self.before(x).abs())
            return self.after(torch.from_numpy(np.abs(self.before(x).detach().numpy())))

    model = Filter()
    return fit(model, optim.SGD(model.parameters(), 0.1), 4)


@fault("detached", source="golfgang in samet-akcay/skip-ganomaly#5", written=WITH_RULES)
def data_attribute_of_hidden_layer(repaired: bool) -> Loop:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            hidden = torch.tanh(self.a(x))
            return self.c(torch.tanh(self.b(hidden if repaired else hidden.data)))

    model = Residual()
    return fit(model, optim.NAdam(model.parameters()), 4)


@fault(
    "detached",
    "no-graph",
    source="pytorch forum: output wrapped in a new tensor",
    written=WITH_RULES,
)
def output_rebuilt_as_new_tensor(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        return F.mse_loss(out if repaired else torch.tensor(out.tolist(), requires_grad=True), y)

    return fit(model, optim.SGD(model.parameters(), lr=0.1), 4, criterion)


@fault("detached", "no-graph", source="pytorch forum: Variable(output.data)", written=WITH_RULES)
def output_wrapped_in_a_variable(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        return F.mse_loss(out if repaired else out.data.requires_grad_(), y)

    return fit(model, optim.SGD(model.parameters(), lr=0.01), 4, criterion)


@fault("detached", source="pytorch forum: layer defined and never called", written=WITH_RULES)
def layer_never_called(repaired: bool) -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.forgotten, self.b = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            hidden = torch.relu(self.a(x))
            return self.b(torch.relu(self.forgotten(hidden)) if repaired else hidden)

    model = Net()
    return fit(model, optim.Adam(model.parameters()), 1)


@fault("detached", source="ndrplz/ConvLSTM_pytorch#21 (encoder under no_grad)", written=WITH_RULES)
def encoder_under_no_grad(repaired: bool) -> Loop:
    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x):
            with torch.set_grad_enabled(repaired):
                _, hidden = self.encoder(x)
            return self.decoder(hidden[-1])

    model, x, y = Translator(), torch.randn(8, 5, 4), torch.randint(2, (8,))
    return usual(model, optim.Adam(model.parameters()), lambda: F.cross_entropy(model(x), y), 3)


@fault("detached", source="pytorch forum: code sampled without reparametrisation", written=FIRST)
def code_detached_in_autoencoder(repaired: bool) -> Loop:
    class Sampled(Autoencoder):
        def forward(self, x):
            mean, log_variance = self.encoder(x).chunk(2, 1)
            normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
            code = normal.rsample() if repaired else normal.sample()
            return self.decoder(code), mean, log_variance

    model, x = Sampled(), torch.randn(30, 12)
    optimizer = optim.Adam(model.parameters())
    return usual(model, optimizer, lambda: F.mse_loss(model(x)[0], x), 20)


@fault("detached", source="nikhilsinghmus/image2reverb#37", written=SECOND)
def generator_loss_on_detached_fake(repaired: bool) -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))

    def update():
        fake = generator(torch.randn(16, 4))
        opt_g.zero_grad()
        F.softplus(-critic(fake if repaired else fake.detach())).mean().backward()
        opt_g.step()
        opt_d.zero_grad()
        F.softplus(critic(fake.detach())).mean().backward()
        opt_d.step()

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


@fault("detached", source="prodopsy.com ?p=470: weight used through detach", written=SECOND)
def weight_used_detached(repaired: bool) -> Loop:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            weight, bias = self.a.weight, self.a.bias
            if not repaired:
                weight, bias = weight.detach(), bias.detach()
            return self.b(F.linear(x, weight, bias))

    model = Cut()
    return fit(model, optim.SGD(model.parameters(), 0.05))


@fault(
    "detached", source="pytorch forum: attention weights turned into a Python list", written=SECOND
)
def gate_through_item(repaired: bool) -> Loop:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.out = nn.Linear(8, 1), nn.Linear(8, 1)

        def forward(self, x):
            out, gate = self.out(x), self.gate(x).mean().sigmoid()
            return out * (gate if repaired else gate.item())

    model = Gated()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@fault("detached", source="pytorch forum: topk indices pass no gradient", written=SECOND)
def hard_selection_of_tokens(repaired: bool) -> Loop:
    class Select(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score, self.out = nn.Linear(8, 1), nn.Linear(8, 1)

        def forward(self, x):
            score = self.score(x).squeeze(-1)
            if repaired:
                return self.out((score.softmax(1)[..., None] * x).sum(1))
            best = score.topk(2, dim=1).indices
            return self.out(x.gather(1, best[..., None].expand(-1, -1, 8)).mean(1))

    model, x, y = Select(), torch.randn(16, 5, 8), torch.randn(16, 1)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 4)


@fault("detached", source="common report: a copy is called, the original trained", written=FIFTH)
def copy_of_the_model_called(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()
    called = model if repaired else copy.deepcopy(model)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    return usual(model, optimizer, lambda: F.mse_loss(called(x), y))


@fault("detached", source="common report: a second model, left from a cell before", written=FIFTH)
def loss_of_the_other_model(repaired: bool) -> Loop:
    model, other, (x, y) = mlp(), mlp(hidden=12), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    unused = optim.Adam(other.parameters(), lr=1e-3)

    def loss():
        out, of_other = model(x), other(x)
        return F.mse_loss(out if repaired else of_other, y)

    return usual(model, optimizer, loss, after=unused.zero_grad if repaired else lambda: None)


@fault("detached", source="common report: the old encoder is called", written=FIFTH)
def old_encoder_called(repaired: bool) -> Loop:
    model = nn.ModuleDict({"encoder": mlp(out=8), "head": nn.Linear(8, 1)})
    encoder, (x, y) = model["encoder"], regression()
    if not repaired:
        model["encoder"] = copy.deepcopy(encoder)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.mse_loss(model["head"](encoder(x)), y))


@fault("detached", source="brian6091 at cloneofsimo/lora#26", written=SIXTH)
def reentrant_checkpoint_of_inputs_without_a_gradient(repaired: bool) -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = mlp(8, 16, 16), nn.Linear(16, 3)

        def forward(self, x):
            return self.head(checkpoint(self.body, x, use_reentrant=not repaired))

    model, (x, y) = Net(), classes()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, whole):
        ctx.save_for_backward(x, weight)
        ctx.whole = whole
        return x @ weight.T

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        return grad @ weight, grad.T @ x if ctx.whole else None, None


@fault("detached", source="common report: backward returns None for the weight", written=SIXTH)
def function_returns_none_for_its_weight(repaired: bool) -> Loop:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(16, 8) / 3)

        def forward(self, x):
            return _Product.apply(x, self.weight, repaired)

    model = nn.Sequential(Layer(), nn.ReLU(), nn.Linear(16, 1))
    return fit(model, optim.Adam(model.parameters(), lr=1e-2), 4)


@fault("detached", source="mixture of experts: the router gives an index only", written=SIXTH)
def router_that_only_chooses(repaired: bool) -> Loop:
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router, self.out = nn.Linear(8, 3), nn.Linear(4, 1)
            self.experts = nn.ModuleList(nn.Linear(8, 4) for _ in range(3))

        def forward(self, x):
            weight, chosen = self.router(x).softmax(1).max(1)
            each = torch.stack([expert(x) for expert in self.experts], 1)
            hidden = each[torch.arange(len(x)), chosen]
            return self.out(hidden * weight[:, None] if repaired else hidden)

    model = Mixture()
    return fit(model, optim.Adam(model.parameters(), lr=1e-2), 4)
