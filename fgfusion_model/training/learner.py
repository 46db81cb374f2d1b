"""What changes while training: the weights, the mean over their past, and the optimiser's moments."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fgfusion_model.network import FGFusion
from fgfusion_model.training.settings import OptimiserSettings, TrainingSettings


@dataclass(frozen=True)
class Learner:
    """What changes while training.

    Attributes:
        network: the weights that are trained.
        mean: a second network with the mean over their past, or the same one where none is kept.
        optimiser: with its moments.
    """

    network: nn.Module
    mean: nn.Module
    optimiser: torch.optim.Optimizer

    def follow(self, step: int, decay: float) -> None:
        """Move the mean towards the weights; young means move faster, buffers are copied."""
        weight = 1 - min(decay, (1 + step) / (10 + step))
        with torch.no_grad():
            own: list[Tensor] = list(self.mean.parameters())
            theirs: list[Tensor] = list(self.network.parameters())
            torch._foreach_lerp_(own, theirs, weight)
            for buffer, source in zip(self.mean.buffers(), self.network.buffers(), strict=True):
                buffer.copy_(source)


def make_learner(settings: TrainingSettings, device: torch.device) -> Learner:
    """Return a new network, the mean of its past and its optimiser, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = FGFusion(settings.network)
    # Channels last is quicker on GPUs with tensor cores, and a quarter to a third quicker on CPUs.
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = copy.deepcopy(network).eval().requires_grad_(False)
    return Learner(network, mean, make_optimiser(network, settings.optimiser))


def make_optimiser(network: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Return the optimiser; weight decay spares biases and norms with adamw, not with the paper's sgd."""
    if settings.name == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (settings.momentum, settings.beta2)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas)
