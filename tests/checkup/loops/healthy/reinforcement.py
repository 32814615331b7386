"""Policies and values."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import LanguageModel, mlp, times, usual


@no_fault(source="ikostrikov/pytorch-a3c#30", written=WITH_RULES)
def policy_gradient_with_negative_rewards() -> Loop:
    model, states = mlp(4, 16, 2), torch.randn(20, 4)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)

    def update():
        chances = torch.distributions.Categorical(logits=model(states))
        actions = chances.sample()
        reward = -torch.rand(20) - 0.1
        optimizer.zero_grad()
        (-(chances.log_prob(actions) * reward)).mean().backward()
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@no_fault(source="objective maximised with maximize=True", written=WITH_RULES)
def policy_gradient_with_maximize() -> Loop:
    model, states = mlp(4, 16, 2), torch.randn(20, 4)
    optimizer = optim.Adam(model.parameters(), lr=1e-2, maximize=True)
    advantage = torch.randn(20)

    def objective():
        chances = torch.distributions.Categorical(logits=model(states))
        return (chances.log_prob(chances.sample()) * advantage).mean()

    return usual(model, optimizer, objective)


@no_fault(source="pytorch DQN tutorial", written=WITH_RULES)
def q_learning_with_target_network() -> Loop:
    online = mlp(4, 16, 2)
    target = copy.deepcopy(online)
    optimizer = optim.AdamW(online.parameters(), lr=1e-3, amsgrad=True)
    state, action, following = torch.randn(32, 4), torch.randint(2, (32, 1)), torch.randn(32, 4)

    def update():
        value = online(state).gather(1, action)
        with torch.no_grad():
            expected = (target(following).max(1).values * 0.99 + 1).unsqueeze(1)
        optimizer.zero_grad()
        F.smooth_l1_loss(value, expected).backward()
        nn.utils.clip_grad_value_(online.parameters(), 100)
        optimizer.step()

    return Loop([online, target], optimizer, times(3, update))


@no_fault(source="proximal policy optimisation", written=FIRST)
def clipped_policy_optimisation() -> Loop:
    actor, critic = nn.Linear(6, 3), nn.Linear(6, 1)
    model = nn.ModuleDict({"actor": actor, "critic": critic})
    optimizer, state = optim.Adam(model.parameters(), lr=3e-4, eps=1e-5), torch.randn(50, 6)
    with torch.no_grad():
        policy = torch.distributions.Categorical(logits=actor(state))
        action = policy.sample()
        before, reward = policy.log_prob(action), torch.randn(50)

    def update():
        policy = torch.distributions.Categorical(logits=actor(state))
        value = critic(state).squeeze(-1)
        ratio, gain = (policy.log_prob(action) - before).exp(), reward - value.detach()
        surrogate = torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
        loss = -surrogate + 0.5 * (reward - value).pow(2).mean() - 0.01 * policy.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

    return Loop(model, optimizer, times(10, update))


@no_fault(source="actor and critic, two losses, two optimizers, shared advantage", written=SECOND)
def actor_critic() -> Loop:
    actor, critic = mlp(4, 16, 2), mlp(4, 16, 1)
    opt_a, opt_c = optim.Adam(actor.parameters(), 1e-3), optim.Adam(critic.parameters(), 1e-3)

    def update():
        state, reward = torch.randn(24, 4), torch.randn(24, 1)
        advantage = reward - critic(state)
        opt_c.zero_grad()
        advantage.pow(2).mean().backward()
        opt_c.step()
        policy = torch.distributions.Categorical(logits=actor(state))
        gain = advantage.detach().squeeze(1)
        opt_a.zero_grad()
        (
            -(policy.log_prob(policy.sample()) * gain).mean() - 0.01 * policy.entropy().mean()
        ).backward()
        opt_a.step()

    return Loop([actor, critic], [opt_a, opt_c], times(4, update))


@no_fault(
    source="SAC: actor's loss goes through a critic whose gradient is thrown away", written=SECOND
)
def actor_through_critic() -> Loop:
    actor, critic = mlp(4, 16, 2), mlp(6, 16, 1)
    target = copy.deepcopy(critic).requires_grad_(False)
    opt_a, opt_c = optim.Adam(actor.parameters(), 1e-3), optim.Adam(critic.parameters(), 1e-3)

    def update():
        state, action, reward = torch.randn(24, 4), torch.randn(24, 2), torch.randn(24, 1)
        with torch.no_grad():
            goal = reward + 0.9 * target(torch.cat([state, actor(state)], 1))
        opt_c.zero_grad()
        F.mse_loss(critic(torch.cat([state, action], 1)), goal).backward()
        opt_c.step()
        opt_a.zero_grad()
        (-critic(torch.cat([state, actor(state).tanh()], 1)).mean()).backward()
        opt_a.step()
        for p, q in zip(target.parameters(), critic.parameters(), strict=True):
            p.data.lerp_(q.data, 0.05)

    return Loop([actor, critic, target], [opt_a, opt_c], times(4, update))


@no_fault(source="pytorch REINFORCE example", written=WITH_RULES)
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


@no_fault(source="temporal differences with a target network that is not detached", written=FIFTH)
def target_network_with_a_graph() -> Loop:
    model, target = mlp(4, out=2), mlp(4, out=2)
    optimizer, states = optim.Adam(model.parameters(), lr=1e-2), torch.randn(32, 4)

    def update():
        best = target(states + 0.1).max(1)[0]
        optimizer.zero_grad()
        F.mse_loss(model(states)[:, 0], states[:, 0] + 0.9 * best).backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 0.1)

    return Loop(model, optimizer, times(6, update))


@no_fault(source="a language model under a clipped ratio and a divergence", written=FIFTH)
def ratios_of_a_language_model() -> Loop:
    model = LanguageModel()
    optimizer, x = optim.AdamW(model.parameters(), lr=1e-4), torch.randint(30, (8, 12))
    advantages = torch.randn(8, 1)
    with torch.no_grad():
        before = model(x).log_softmax(2).gather(2, x[..., None]).squeeze(2)

    def loss():
        chosen = model(x).log_softmax(2).gather(2, x[..., None]).squeeze(2)
        ratio = (chosen - before).exp()
        clipped = ratio.clamp(0.8, 1.2)
        gap = before - chosen
        far = (gap.exp() - gap - 1).mean()
        return -torch.min(ratio * advantages, clipped * advantages).mean() + 0.04 * far

    return usual(model, optimizer, loss)


@no_fault(source="preferences: the log-ratios of two answers", written=FIFTH)
def preferences_of_two_answers() -> Loop:
    model, better, worse = mlp(out=3), torch.randn(16, 8), torch.randn(16, 8)
    anchor = torch.randn(16)

    def loss():
        chosen, rejected = (model(x).log_softmax(1)[:, 0] for x in (better, worse))
        return -F.logsigmoid(0.1 * (chosen - rejected - anchor)).mean()

    return usual(model, optim.AdamW(model.parameters(), lr=1e-3), loss)
