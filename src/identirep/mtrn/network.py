"""Heads on replicated encoders, and the profile likelihood that trains them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from identirep.mtrn.reduction import HEAD_PENALTY
from identirep.processes import joint_mean, place, summed

__all__ = ["LongObjective", "WideObjective"]

# Residual variances below this share of a target's variance count as this: float32 has no more to say.
NOISE_FLOOR = 1e-5
# Memory of the running noise variances, in batches.
_NOISE_DECAY = 0.98


class WideObjective(nn.Module):
    r"""Profile likelihood of tasks that share their rows, on mini-batches of rows.

    Minimises :math:`\sum_t n_t/2 \, \log \sigma_t^2` with the heads as parameters. Its gradient is that of
    :math:`\sum_t \mathrm{rss}_t / 2 \sigma_t^2` at the current noise, which is tracked over batches. Heads in closed
    form would fit the noise of a batch of a few hundred rows. Binary targets have the negative log-likelihood of a
    logistic head instead, in the same units.
    """

    tasks_in_every_batch = True

    def __init__(
        self,
        encoder: nn.Module,
        n_replicates: int,
        n_features: int,
        n_tasks: int,
        generator: torch.Generator,
        log_odds: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        weight = torch.randn(n_replicates, n_features, n_tasks, generator=generator) / math.sqrt(n_features)
        self.head_weight = nn.Parameter(weight)
        bias = torch.zeros(n_tasks) if log_odds is None else torch.nan_to_num(log_odds).float()
        self.head_bias = nn.Parameter(bias.expand(n_replicates, 1, n_tasks).clone())
        # Targets of 0 and 1, whose log odds in training are known, have a Bernoulli likelihood.
        self.is_binary = None if log_odds is None or bool(log_odds.isnan().all()) else ~log_odds.isnan()
        self.rss: Tensor
        self.count: Tensor
        self.register_buffer("rss", torch.ones(n_replicates, n_tasks))
        self.register_buffer("count", torch.ones(n_tasks))

    def forward(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the objective per label of a batch, up to terms without gradient, shape (n_replicates,).

        Of a share of the batch, which one of several processes has, it is such that their mean is that of the batch.
        """
        rss, own_count = self.residual_squares(x, y, weight)
        all_rss, count = summed(rss, own_count)
        with torch.no_grad():
            self.rss.mul_(_NOISE_DECAY).add_(all_rss, alpha=1 - _NOISE_DECAY)
            self.count.mul_(_NOISE_DECAY).add_(count, alpha=1 - _NOISE_DECAY)
            noise = (self.rss / self.count.clamp_min(1e-12)).clamp_min(NOISE_FLOOR)
        loss = 0.5 * rss / noise
        if self.is_binary is not None:
            loss = torch.where(self.is_binary.to(loss.device), rss, loss)
        return place()[1] * loss.sum(dim=1) / count.sum().clamp_min(1 if weight is None else 1e-12)

    def residual_squares(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return sums of squared residuals (n_replicates, n_tasks) and numbers of labels (n_tasks,).

        Of binary targets these are sums of negative log-likelihoods. Labels count by `weight` (n_rows, n_tasks or 1),
        if there is one.
        """
        seen = ~torch.isnan(y)
        prediction = torch.baddbmm(self.head_bias, self.encoder(x).float(), self.head_weight)
        known = torch.nan_to_num(y)
        losses = ((prediction.float() - known) * seen).square()
        if self.is_binary is not None:
            of_labels = (nn.functional.softplus(prediction.float()) - known * prediction.float()) * seen
            losses = torch.where(self.is_binary.to(losses.device), of_labels, losses)
        if weight is None:
            return losses.sum(dim=1), seen.sum(dim=0)
        return (losses * weight).sum(dim=1), (seen * weight).sum(dim=0)


class LongObjective(nn.Module):
    r"""Profile likelihood of tasks with rows of their own, on batches of whole tasks.

    Minimises :math:`\sum_t n_t/2 \, \log \sigma_t^2` with :math:`n_t \sigma_t^2 = \min_w |y - F w|^2 + \lambda |w|^2`:
    heads and noise are profiled out (variable projection). By the envelope theorem the gradient is the one at fixed
    heads, so nothing is differentiated through the solver. The penalty scales with the features, which leaves the
    objective free of their scale.
    """

    tasks_in_every_batch = False
    is_binary = None

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Return the objective per label of a batch of tasks, shape (n_replicates,).

        Targets `y` (n_tasks, longest) are centred in each task, NaN where a shorter one is padded; `x` has their rows
        one below the other, and `weight` is one for training rows, or what they count for, and zero for others.
        """
        # Mixed precision is for the encoder; Fabric has rounded all inputs.
        (features, y), weight = self._by_task(x, y.float()), weight.float()
        with torch.autocast(device_type=x.device.type, enabled=False):
            features, penalty, head = _profile_heads(features, y, weight, is_share=True)
            root = weight.sqrt()
            residuals = y * root - (features * root[..., None] @ head)[..., 0]
            count = weight.sum(dim=1)
            (all_count,) = summed(count.sum())
            rss = residuals.square().sum(dim=2) + penalty * head.square().sum(dim=(2, 3))
            loss = 0.5 * (count * (rss / count).clamp_min(NOISE_FLOOR).log()).sum(dim=1)
            return place()[1] * loss / all_count

    def residual_squares(self, x: Tensor, y: Tensor, weight: Tensor, held_out: Tensor) -> tuple[Tensor, Tensor]:
        """Return sums of squares (n_replicates, n_tasks) and counts (n_tasks,) of `held_out` rows under these heads."""
        features, y = self._by_task(x, y)
        features, _, head = _profile_heads(features, y, weight)
        residuals = (y - (features @ head)[..., 0]) * held_out.sqrt()
        return residuals.square().sum(dim=2), held_out.sum(dim=1)

    def _by_task(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (n_replicates, n_tasks, longest, n_features) and targets, zeros where there is no row."""
        features = self.encoder(x).float()
        if features.shape[1] < y.numel():
            place = torch.nonzero(~torch.isnan(y).flatten())[:, 0]
            padded = features.new_zeros(len(features), y.numel(), features.shape[2])
            features, y = padded.index_copy(1, place, features), torch.nan_to_num(y)
        return features.unflatten(1, y.shape), y


def _profile_heads(
    features: Tensor, y: Tensor, weight: Tensor, *, is_share: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return centred features, penalties and the ridge heads of each replicate and task, of a share of the batch."""
    count = weight.sum(dim=1)
    mask = weight[..., None]
    features = features - (features * mask).sum(dim=2, keepdim=True) / count[:, None, None]
    root = weight.sqrt()
    masked = features * root[..., None]
    # Mean variance of the features over the tasks of the batch, as in `linear_heads`.
    of_tasks = masked.square().sum(dim=(2, 3)) / (count * features.shape[-1])
    variance = joint_mean(of_tasks) if is_share else of_tasks.mean(dim=1, keepdim=True)
    penalty = (HEAD_PENALTY * variance).clamp_min(1e-8)
    with torch.no_grad():
        gram = masked.mT @ masked
        gram.diagonal(dim1=-2, dim2=-1).add_(penalty[..., None])
        # Without the check of `cholesky` NaN go through, and the loop reports a diverged training.
        factor, _ = torch.linalg.cholesky_ex(gram)
        head = torch.cholesky_solve(masked.mT @ (y * root)[..., None], factor)
    return features, penalty, head
