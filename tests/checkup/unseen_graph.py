"""Second set out of sample: broken graphs, modes and groups."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, Tagger, broken, cnn, fit, images, mlp, tagging, usual


@broken("detached", source="nikhilsinghmus/image2reverb#37")
def unseen_generator_loss_on_detached_fake() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))

    def update():
        fake = generator(torch.randn(16, 4))
        opt_g.zero_grad()
        F.softplus(-critic(fake.detach())).mean().backward()
        opt_g.step()
        opt_d.zero_grad()
        F.softplus(critic(fake.detach())).mean().backward()
        opt_d.step()

    return Loop([generator, critic], [opt_g, opt_d], lambda: [update() for _ in range(3)])


@broken("detached", source="prodopsy.com ?p=470: weight used through detach")
def unseen_weight_used_detached() -> Loop:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.b(F.linear(x, self.a.weight.detach(), self.a.bias.detach()))

    model = Cut()
    return fit(model, optim.SGD(model.parameters(), 0.05))


@broken("detached", source="pytorch forum: attention weights turned into a Python list")
def unseen_gate_through_item() -> Loop:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.out = nn.Linear(8, 1), nn.Linear(8, 1)

        def forward(self, x):
            return self.out(x) * self.gate(x).mean().sigmoid().item()

    model = Gated()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@broken("detached", source="pytorch forum: topk indices pass no gradient")
def unseen_hard_selection_of_tokens() -> Loop:
    class Select(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score, self.out = nn.Linear(8, 1), nn.Linear(8, 1)

        def forward(self, x):
            best = self.score(x).squeeze(-1).topk(2, dim=1).indices
            return self.out(x.gather(1, best[..., None].expand(-1, -1, 8)).mean(1))

    model, x, y = Select(), torch.randn(16, 5, 8), torch.randn(16, 1)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 4)


@broken("eval-mode", source="tk-rusch/coRNN#1")
def unseen_test_in_the_middle() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def train():
        for step in range(6):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if step == 2:
                model.eval()

    return Loop(model, optimizer, train)


@broken("eval-mode", source="pytorch/tutorials#1624")
def unseen_dropout_of_rnn_in_eval() -> Loop:
    model = nn.GRU(4, 6, num_layers=2, dropout=0.2).eval()
    x, optimizer = torch.randn(5, 3, 4), optim.Adam(model.parameters(), 1e-3)
    return usual(model, optimizer, lambda: model(x)[0].square().mean())


@broken("duplicate", source="pytorch/pytorch#40967 (tied weight listed by hand)")
def unseen_tied_weight_listed_twice() -> Loop:
    model = Tagger()
    optimizer = optim.SGD([model.table.weight, *model.parameters()], 0.1)
    return tagging(model, optimizer)


@broken("zero-lr", source="pytorch forum: cosine schedule at its end")
def unseen_schedule_has_ended() -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), 0.1)
    scheduler = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=2)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    return fit(model, optimizer)
