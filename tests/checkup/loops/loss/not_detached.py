"""Targets and advantages that are computed from trained parameters and take part in the loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.distributions import Categorical, Normal

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import mlp, usual


@fault("not-detached", source="datawhalechina/easy-rl#117", written=FIFTH)
def target_of_the_trained_network(repaired: bool) -> Loop:
    model, states, following = mlp(4, out=2), torch.randn(32, 4), torch.randn(32, 4)
    optimizer, action = optim.Adam(model.parameters(), lr=1e-2), torch.randint(2, (32, 1))

    def loss():
        best = model(following).max(1, keepdim=True)[0]
        best = best.detach() if repaired else best
        return F.smooth_l1_loss(model(states).gather(1, action), states[:, :1] + 0.9 * best)

    return usual(model, optimizer, loss)


@fault("not-detached", source="oreilly-japan/deep-learning-from-scratch-4#13", written=FIFTH)
def value_of_the_next_state(repaired: bool) -> Loop:
    model, states, following = mlp(4), torch.randn(32, 4), torch.randn(32, 4)
    reward, alive = torch.randn(32), (torch.rand(32) > 0.2).float()

    def loss():
        with torch.set_grad_enabled(not repaired):
            target = reward + 0.99 * alive * model(following).squeeze(1)
        return (target - model(states).squeeze(1)).pow(2).mean()

    return usual(model, optim.SGD(model.parameters(), lr=0.05), loss)


@fault("not-detached", source="common report: the policy's loss trains the critic", written=FIFTH)
def advantage_with_a_gradient(repaired: bool) -> Loop:
    model, states = nn.ModuleDict({"actor": mlp(4, out=2), "critic": mlp(4)}), torch.randn(32, 4)

    def loss():
        policy = Categorical(logits=model["actor"](states))
        action = policy.sample()
        value, rewards = model["critic"](states).squeeze(1), (action == 1).float()
        advantage = rewards - (value.detach() if repaired else value)
        return F.mse_loss(value, rewards) - (policy.log_prob(action) * advantage).mean()

    return usual(model, optim.Adam(model.parameters(), lr=1e-2), loss)


@fault("not-detached", source="common report: the same with continuous actions", written=FIFTH)
def advantage_of_a_gaussian_policy(repaired: bool) -> Loop:
    actor, critic, states = mlp(4), mlp(4), torch.randn(32, 4)
    optimizer = optim.AdamW([*actor.parameters(), *critic.parameters()], lr=1e-2)

    def loss():
        policy = Normal(actor(states), 0.5)
        action = policy.sample()
        value = critic(states)
        advantage = -action.abs() - (value.detach() if repaired else value)
        return (value + action.abs()).pow(2).mean() - (advantage * policy.log_prob(action)).mean()

    return usual([actor, critic], optimizer, loss)
