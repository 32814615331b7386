"""Models, losses and optimizers of other libraries in a loop written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, TensorDataset

from tests.frameworks.matrix import Training, Watch, held_to_the_same, needs, one

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks' own


def classified(watch: Watch, model: nn.Module, size: int, times: int = 3) -> nn.Module:
    optimizer = optim.AdamW(model.parameters(), 1e-3)
    with watch(model, optimizer):
        for _ in range(times):
            optimizer.zero_grad()
            x, y = torch.randn(4, 3, size, size), torch.arange(4)
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model


TIMM = ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "test_nfnet"]
TORCHVISION = ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"]


@needs("timm", "torchvision")
@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    import timm

    def training(watch: Watch) -> nn.Module:
        options: Any = {"img_size": 64} if "vit" in name else {}
        return classified(watch, timm.create_model(name, num_classes=4, **options), 64)

    held_to_the_same(training)


@needs("torchvision")
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    import torchvision

    def training(watch: Watch) -> nn.Module:
        return classified(watch, torchvision.models.get_model(name, num_classes=4), 32)

    held_to_the_same(training)


def torchvision_segmentation(watch: Watch) -> nn.Module:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9)
    with watch(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            found = model(torch.randn(4, 3, 64, 64))["out"]
            F.cross_entropy(found, torch.randint(3, (4, 64, 64))).backward()
            optimizer.step()
    return model


def timm_optimizer_and_ema(watch: Watch) -> nn.Module:
    import timm.optim
    import timm.scheduler
    import timm.utils

    model = timm.create_model("test_vit", num_classes=4, img_size=64)
    averaged = timm.utils.ModelEmaV3(model, decay=0.9)
    optimizer = timm.optim.create_optimizer_v2(model, "lamb", lr=1e-3, weight_decay=0.05)
    scheduler = timm.scheduler.CosineLRScheduler(optimizer, t_initial=10, warmup_t=2)
    with watch(model, optimizer):
        for step in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(4, 3, 64, 64)), torch.arange(4)).backward()
            timm.utils.dispatch_clip_grad(model.parameters(), 0.02, mode="agc")
            optimizer.step()
            averaged.update(model)
            scheduler.step(step + 1)
    return model


def geometric_gcn(watch: Watch) -> nn.Module:
    from torch_geometric.nn import GATConv, GCNConv

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = GCNConv(6, 16), GATConv(16, 3)

        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            return self.second(self.first(x, edges).relu(), edges)  # type: ignore[no-any-return]

    model = Graph()
    optimizer = optim.Adam(model.parameters(), 0.01, weight_decay=5e-4)
    x, edges, y = torch.randn(20, 6), torch.randint(20, (2, 60)), torch.arange(20) % 3
    with watch(model, optimizer):
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(x, edges), y).backward()
            optimizer.step()
    return model


def opacus_private(watch: Watch) -> nn.Module:
    from opacus import PrivacyEngine

    made = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2))
    batches = DataLoader(TensorDataset(torch.randn(40, 10), torch.arange(40) % 2), batch_size=8)
    model, optimizer, private = PrivacyEngine().make_private(
        module=made,
        optimizer=optim.SGD(made.parameters(), 0.1),
        data_loader=batches,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )
    with watch(model, optimizer):
        for x, y in private:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return made


def gpytorch_exact(watch: Watch) -> nn.Module:
    import gpytorch

    x = torch.linspace(0, 1, 30)
    y = torch.sin(6 * x) + 0.1 * torch.randn(30)

    class Exact(gpytorch.models.ExactGP):
        def __init__(self, likelihood: Any) -> None:
            super().__init__(x, y, likelihood)
            self.mean = gpytorch.means.ConstantMean()
            self.kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

        def forward(self, at: Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean(at), self.kernel(at))

    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = Exact(likelihood)
    optimizer = optim.Adam(model.parameters(), 0.1)
    score = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    with watch(model, optimizer):
        for _ in range(5):
            optimizer.zero_grad()
            (-score(model(x), y)).backward()
            optimizer.step()
    return model


def _torchrl(watch: Watch, whole: bool) -> nn.Module:
    from tensordict import TensorDict
    from torchrl.modules import QValueActor
    from torchrl.objectives import DQNLoss, SoftUpdate

    actor = QValueActor(nn.Linear(4, 2), in_keys=["observation"], action_space="categorical")
    loss = DQNLoss(actor, action_space="categorical", delay_value=True)
    target = SoftUpdate(loss, eps=0.99)
    optimizer = optim.Adam(loss.parameters(), 1e-3)
    never = torch.zeros(8, 1, dtype=torch.bool)
    with watch(loss if whole else actor, optimizer):
        for _ in range(4):
            after = {"observation": torch.randn(8, 4), "reward": torch.randn(8, 1)}
            batch = TensorDict(
                {
                    "observation": torch.randn(8, 4),
                    "action": torch.randint(0, 2, (8,)),
                    "next": {**after, "done": never, "terminated": never},
                },
                [8],
            )
            optimizer.zero_grad()
            loss(batch)["loss"].backward()
            optimizer.step()
            target.step()
    return actor


def torchrl_loss_module(watch: Watch) -> nn.Module:
    return _torchrl(watch, whole=True)


def torchrl_actor(watch: Watch) -> nn.Module:
    return _torchrl(watch, whole=False)


TRAININGS = [
    one(torchvision_segmentation, "torchvision"),
    one(timm_optimizer_and_ema, "timm", "torchvision"),
    one(geometric_gcn, "torch_geometric"),
    one(opacus_private, "opacus"),
    one(gpytorch_exact, "gpytorch"),
    one(torchrl_loss_module, "torchrl", "tensordict"),
    one(torchrl_actor, "torchrl", "tensordict"),
]


@pytest.mark.parametrize("training", TRAININGS)
def test_a_library_is_watched_without_a_trace_or_a_false_alarm(training: Training) -> None:
    held_to_the_same(training)
