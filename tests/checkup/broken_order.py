"""Loops that call the right things in the wrong order, or not at all."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, broken, cnn, images, mlp, regression, sequences, times, usual


def _simple(**options: float) -> tuple[nn.Module, optim.Optimizer, torch.Tensor, torch.Tensor]:
    model, (x, y) = mlp(), regression()
    return model, optim.SGD(model.parameters(), **{"lr": 0.01, **options}), x, y


@broken("not-cleared", source="zero_grad and its necessity (tutorial)")
def linear_model_never_cleared() -> Loop:
    model, x, y = nn.Linear(10, 2), torch.randn(1, 10), torch.tensor([[1.0, 0.0]])
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("not-cleared", source="salesforce/corr_based_prediction#1")
def cleared_once_per_epoch() -> Loop:
    model, optimizer, x, y = _simple()

    def epoch():
        optimizer.zero_grad()
        for a, b in zip(x.split(8), y.split(8), strict=True):
            F.mse_loss(model(a), b).backward()
            optimizer.step()

    return Loop(model, optimizer, times(2, epoch))


@broken("not-cleared", source="meta-pytorch/torchforge#71")
def adam_and_clipping_without_clearing() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@broken("not-cleared", source="ajbrock/BigGAN-PyTorch#25")
def discriminator_never_cleared() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))
    real = torch.randn(16, 2) + 3

    def update():
        fake = generator(torch.randn(16, 4))
        (F.softplus(critic(fake.detach())) + F.softplus(-critic(real))).mean().backward()
        opt_d.step()
        opt_g.zero_grad()
        F.softplus(-critic(fake)).mean().backward()
        opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


@broken("not-cleared", source="pytorch forum: LBFGS closure without zero_grad")
def closure_that_does_not_clear() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.LBFGS(model.parameters(), lr=0.05, max_iter=5)

    def closure():
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    return Loop(model, optimizer, times(2, lambda: optimizer.step(closure)))


@broken("not-cleared", source="pytorch/pytorch#47175")
def zero_grad_without_parentheses() -> Loop:
    model, optimizer, x, y = _simple(momentum=0.9)

    def update():
        optimizer.zero_grad  # noqa: B018
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(5, update))


@broken("no-backward", source="pytorch forum: backward commented out")
def no_backward_at_all() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("no-backward", source="pytorch forum: gradients taken with autograd.grad, not assigned")
def autograd_grad_not_assigned() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        optimizer.zero_grad()
        torch.autograd.grad(F.mse_loss(model(x), y), list(model.parameters()))
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@broken("no-step", source="jpchen in pyro-ppl/pyro#1242")
def scheduler_stepped_instead_of_optimizer() -> Loop:
    model, optimizer, x, y = _simple()
    scheduler = optim.lr_scheduler.StepLR(optimizer, 10)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        scheduler.step()

    return Loop(model, optimizer, times(3, update))


@broken("no-step", source="pytorch forum: optimizer.step without parentheses")
def step_without_parentheses() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step  # noqa: B018

    return Loop(model, optimizer, update)


@broken("no-step", source="Adversarial-Deep-Learning/code-soup#69 (discriminator)")
def discriminator_never_stepped() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))
    real = torch.randn(16, 2) + 3

    def update():
        fake = generator(torch.randn(16, 4))
        opt_d.zero_grad()
        (F.softplus(critic(fake.detach())) + F.softplus(-critic(real))).mean().backward()
        opt_g.zero_grad()
        F.softplus(-critic(fake)).mean().backward()
        opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


@broken("no-step", source="pytorch forum: two optimizers, one step")
def second_optimizer_forgotten() -> Loop:
    encoder, decoder, (x, y) = mlp(out=4), mlp(4), regression()
    first, second = optim.SGD(encoder.parameters(), 0.01), optim.SGD(decoder.parameters(), 0.01)

    def update():
        first.zero_grad()
        second.zero_grad()
        F.mse_loss(decoder(encoder(x)), y).backward()
        first.step()

    return Loop([encoder, decoder], [first, second], times(2, update))


@broken("no-step", source="common report: accumulation longer than the epoch")
def fewer_batches_than_accumulation_steps() -> Loop:
    model, optimizer, x, y = _simple()

    def train():
        optimizer.zero_grad()
        for index, (a, b) in enumerate(zip(x.split(11), y.split(11), strict=True)):
            (F.mse_loss(model(a), b) / 4).backward()
            if (index + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@broken("leftover", source="ultralytics/ultralytics#11217")
def last_batches_of_the_epoch_dropped() -> Loop:
    model, optimizer, x, y = _simple()

    def train():
        optimizer.zero_grad()
        for index, (a, b) in enumerate(zip(x.split(6), y.split(6), strict=True)):
            (F.mse_loss(model(a), b) / 4).backward()
            if (index + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@broken("accumulating", source="pytorch forum: loss summed over micro-batches")
def micro_batches_not_averaged() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        optimizer.zero_grad()
        for a, b in zip(x.split(16), y.split(16), strict=True):
            F.mse_loss(model(a), b).backward()
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@broken("cleared-before-step", source="sacmehta/EdgeNets#14")
def cleared_between_backward_and_step() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        F.mse_loss(model(x), y).backward()
        optimizer.zero_grad()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("cleared-before-step", source="bytetriper/RAE#67")
def cleared_in_every_micro_batch() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def train():
        for _ in range(3):
            for a, b in zip(x.split(2), y.split(2), strict=True):
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(model(a), b).backward()
            optimizer.step()

    return Loop(model, optimizer, train)


@broken("cleared-before-step", source="rosinality in tatsu-lab/alpaca_farm#57")
def cleared_through_the_model_while_accumulating() -> Loop:
    model, optimizer, x, y = _simple()

    def train():
        for index, (a, b) in enumerate(zip(x.split(8), y.split(8), strict=True)):
            model.zero_grad(set_to_none=False)
            F.mse_loss(model(a), b).backward()
            if index % 2:
                optimizer.step()

    return Loop(model, optimizer, train)


@broken("cleared-before-step", source="pytorch forum: p.grad = None before step")
def set_to_none_by_hand_before_step() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        F.mse_loss(model(x), y).backward()
        for p in model.parameters():
            p.grad = None
        optimizer.step()

    return Loop(model, optimizer, update)


@broken("step-before-backward", source="facebookresearch/vilbert-multi-task#37")
def step_between_forward_and_backward() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        optimizer.step()
        loss.backward()

    return Loop(model, optimizer, times(3, update))


@broken("step-before-backward", source="pytorch/tutorials#3676")
def single_update_stepped_first() -> Loop:
    model, x, y = nn.LSTM(4, 3, batch_first=True), torch.randn(2, 5, 4), torch.randn(2, 5, 3)
    optimizer = optim.Adam(model.parameters())

    def update():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x)[0], y)
        optimizer.step()
        loss.backward()

    return Loop(model, optimizer, update)


@broken("step-twice", source="Lightning-AI/pytorch-lightning forum: manual step in automatic mode")
def stepped_twice_per_backward() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("step-twice", source="pytorch forum: step inside the loop over parameters")
def stepped_for_every_layer() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        for _ in model:
            optimizer.step()

    return Loop(model, optimizer, update)


@broken("no-graph", source="ronghuaiyang/arcface-pytorch#56")
def requires_grad_set_on_the_loss() -> Loop:
    model, (x, y) = mlp(), regression()

    def loss():
        value = F.mse_loss(model(x).detach(), y)
        value.requires_grad = True
        return value

    return usual(model, optim.SGD(model.parameters(), lr=0.1), loss)


@broken("no-graph", source="dangfangshuo in speechbrain/speechbrain#735")
def loss_wrapped_in_a_variable() -> Loop:
    model, (x, y) = mlp(), regression()

    def loss():
        return torch.tensor(F.mse_loss(model(x), y).item(), requires_grad=True) / 2

    return usual(model, optim.Adam(model.parameters()), loss, 1)


@broken("no-graph", source="kevinzakka/pytorch-goodies#11")
def loss_of_predicted_classes() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return usual(model, optimizer, lambda: (model(x).argmax(1) == y).float().mean(), 1)


@broken("no-graph", source="pytorch forum: training inside no_grad")
def forward_under_no_grad() -> Loop:
    model, optimizer, x, y = _simple()

    def loss():
        with torch.no_grad():
            return F.mse_loss(model(x), y)

    return usual(model, optimizer, loss)


@broken("no-graph", source="MorvanZhou/PyTorch-Tutorial#57")
def hidden_state_carried_with_its_graph() -> Loop:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.rnn, self.out = nn.Embedding(20, 4), nn.RNN(4, 8), nn.Linear(8, 20)
            self.hidden = None

        def forward(self, x):
            out, self.hidden = self.rnn(self.table(x), self.hidden)
            return self.out(out)

    model, x = Recurrent(), sequences()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).flatten(0, 1), x.flatten()))


@broken("no-graph", source="YunShen66666 in shoutOutYangJie/FaceID-GAN#5")
def two_losses_through_one_freed_graph() -> Loop:
    model, optimizer, x, y = _simple()

    def update():
        optimizer.zero_grad()
        out = model(x)
        F.mse_loss(out, y).backward()
        out.abs().mean().backward()
        optimizer.step()

    return Loop(model, optimizer, update)


@broken(
    "amp-skipping",
    source="common report: overflow in every step",
    single_precision="a GradScaler overflows in single precision only",
)
def scaler_overflows_at_every_step() -> Loop:
    model, optimizer, x, y = _simple()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y) * 1e6).backward()
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(3, update))


@broken(
    "amp-skipping",
    source="pytorch forum: GradScaler without update",
    single_precision="a GradScaler overflows in single precision only",
)
def scaler_never_updated() -> Loop:
    model, optimizer, x, y = _simple()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)

    def train():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y) * 100).backward()
        scaler.step(optimizer)

    return Loop(model, optimizer, train)
