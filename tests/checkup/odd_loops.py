"""Loops of unusual build: lazy and empty layers, gradients from elsewhere, old parametrisations."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.func import functional_call, grad
from torch.nn.utils import prune

from tests.checkup.loops import Loop, broken, cnn, healthy, mlp, regression, times, usual


@healthy("pytorch docs: lazy modules")
def lazy_layers_made_in_the_first_forward() -> Loop:
    model, (x, y) = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 1)), regression()
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y))


@healthy("pytorch docs: pruning")
def pruned_layer() -> Loop:
    model, (x, y) = mlp(), regression()
    prune.l1_unstructured(model[0], "weight", 0.5)
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y))


@healthy("pytorch forum: old weight_norm leaves a non-leaf attribute")
def old_weight_norm_after_a_forward() -> Loop:
    model, (x, y) = mlp(), regression()
    nn.utils.weight_norm(model[0])
    model(x)
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y))


@healthy("pytorch REINFORCE example")
def log_probabilities_saved_on_the_model() -> Loop:
    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.saved = nn.Linear(4, 2), []

        def forward(self, x):
            return self.linear(x)

    policy = Policy()
    optimizer = optim.Adam(policy.parameters(), lr=1e-2)

    def update():
        for _ in range(5):
            chances = torch.distributions.Categorical(logits=policy(torch.randn(4)))
            policy.saved.append(chances.log_prob(chances.sample()))
        returns = torch.arange(5.0, 0.0, -1.0) - 3
        optimizer.zero_grad()
        (-torch.stack(policy.saved) * returns).sum().backward()
        optimizer.step()
        policy.saved.clear()

    return Loop(policy, optimizer, times(4, update))


@healthy("evolution strategies: gradients without backward")
def gradients_estimated_by_finite_differences() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    @torch.no_grad()
    def update():
        before = F.mse_loss(model(x), y)
        for p in model.parameters():
            noise = torch.randn_like(p)
            p += 0.01 * noise
            p.grad = (F.mse_loss(model(x), y) - before) / 0.01 * noise
            p -= 0.01 * noise
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(4, update))


@healthy("torch.func: gradients of a function, assigned")
def gradients_from_a_function_transform() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        weights = {name: p.detach() for name, p in model.named_parameters()}
        slopes = grad(lambda w: F.mse_loss(functional_call(model, w, x), y))(weights)
        for name, p in model.named_parameters():
            p.grad = slopes[name]
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("optimizer made anew in every epoch")
def optimizer_recreated_inside() -> Loop:
    model, (x, y) = mlp(), regression()

    def update():
        fresh = optim.SGD(model.parameters(), lr=0.01)
        fresh.zero_grad()
        F.mse_loss(model(x), y).backward()
        fresh.step()

    return Loop(model, optim.SGD(model.parameters(), lr=0.01), times(3, update))


@healthy("prices in dollars: large targets, large gradients, Adam copes")
def targets_in_the_hundred_thousands() -> Loop:
    model, (x, y) = mlp(), regression(100)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y * 5e4 + 2e5), 5)


@healthy("style transfer: a frozen network in eval mode, the image is trained")
def image_trained_through_a_frozen_network() -> Loop:
    network = cnn().eval().requires_grad_(False)

    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pixels = nn.Parameter(torch.randn(1, 1, 8, 8))

        def forward(self):
            return network(self.pixels)

    model = Image()
    return usual(model, optim.Adam(model.parameters(), 0.05), lambda: model().pow(2).mean(), 6)


@healthy("long sums of losses over time steps")
def loss_summed_over_a_thousand_steps() -> Loop:
    model, x = nn.Linear(3, 1), torch.randn(1200, 2, 3)
    optimizer = optim.SGD(model.parameters(), lr=1e-5)
    return usual(model, optimizer, lambda: sum(model(step).pow(2).mean() for step in x), 2)


class Signs(optim.Optimizer):
    """Descends by the sign of the gradient; it has no learning rate."""

    def __init__(self, parameters):
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(1e-3 * p.grad.sign())


@healthy("an optimizer of one's own, without lr")
def optimizer_without_learning_rate() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(model, Signs(model.parameters()), lambda: F.mse_loss(model(x), y))


@broken("no-step", "no-backward", source="word_language_model example, pytorch/pytorch#1271")
def unused_optimizer_beside_a_frozen_update() -> Loop:
    model, (x, y) = mlp(), regression()

    def update():
        model.zero_grad()
        F.mse_loss(model(x), y).backward()
        for p in model.parameters():
            p - 0.01 * p.grad  # meant: p.data -= ...

    return Loop(model, optim.SGD(model.parameters(), lr=0.01), times(3, update))


@broken("not-in-model", source="huggingface/accelerate#1204 (meta device)")
def optimizer_of_a_model_without_storage() -> Loop:
    with torch.device("meta"):
        model = mlp()
    optimizer, (x, y) = optim.SGD(model.parameters(), lr=0.01), regression()
    model.to_empty(device="cpu")
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("not-in-model", source="pytorch forum: weight_norm applied after the optimizer")
def parametrised_after_the_optimizer() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    nn.utils.weight_norm(model[0])
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("detached", "no-graph", source="pytorch forum: Variable(output.data)")
def output_wrapped_in_a_variable() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x).data.requires_grad_(), y))


@broken("not-cleared", source="pytorch forum: another model's zero_grad")
def only_one_layer_cleared() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        model[0].zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(2, update))
