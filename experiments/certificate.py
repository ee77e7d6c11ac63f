"""How far the certificate can be trusted: predicted against actual recovery over random settings.

    python experiments/certificate.py [--settings 200] [--first-seed 0]

Each setting draws the number of tasks (3 to 150), rows a task (20 to 300), latents (4 to 10), causes, the spurious
standard deviation (0.1 to 1), mixing, observation noise (none or up to 0.1) and whether tasks are standardised; the fit
uses the factorised prior. A fit is *identified* if all its latents are, *flagged* if not. Where the mixing is
orthogonal no likelihood can tell noise from the latents' own variation, so that figures are given with either counted
as truth.
"""

from __future__ import annotations

import argparse
import os
import warnings
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402

from identirep import MTLCM  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.metrics import mcc  # noqa: E402


def random_setting(rng: np.random.Generator) -> dict[str, Any]:
    """Draw the arguments of `make_linear_tasks`."""
    n_latents = int(rng.integers(4, 11))
    return {
        "n_tasks": round(np.exp(rng.uniform(np.log(3), np.log(150)))),
        "n_samples": round(np.exp(rng.uniform(np.log(20), np.log(300)))),
        "n_latents": n_latents,
        "n_causal": int(rng.integers(1, n_latents)),
        "spurious_std": float(np.exp(rng.uniform(np.log(0.1), 0.0))),
        "mixing": str(rng.choice(["random", "orthogonal"])),
        "observation_noise": float(rng.choice([0.0, np.exp(rng.uniform(np.log(0.01), np.log(0.1)))])),
        "standardize": bool(rng.random() < 0.5),
    }


def measure(seed: int) -> dict[str, Any]:
    """Fit one random setting; return it with predicted and actual recovery."""
    rng = np.random.default_rng(seed)
    setting = random_setting(rng)
    data = make_linear_tasks(**setting, random_state=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MTLCM(random_state=seed).fit(data.H, data.y, tasks=data.tasks)
    latents, certificate = model.transform(data.H), model.certificate_
    # Noise that the fit cannot tell from latents counts as part of them.
    seen = data.Z if model.noise_std_ > 0 else data.H @ np.linalg.inv(data.mixing).T
    return {
        "noisy": setting["observation_noise"] > 0,
        "identified": set(certificate.verdict) == {"identified"},
        "expected": certificate.expected_mcc,
        "interval": certificate.expected_mcc_interval,
        "with_noise": mcc(latents, seen).per_latent,
        "actual": mcc(latents, data.Z).per_latent,
    }


def share(of: np.ndarray, among: np.ndarray) -> str:
    """Percentage and counts of those that hold among those that qualify."""
    if not among.any():
        return "none qualify"
    return f"{100 * of[among].mean():.1f} % ({int(of[among].sum())} of {int(among.sum())})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    found = [measure(seed) for seed in range(options.first_seed, options.first_seed + options.settings)]
    identified, noisy = (np.array([f[name] for f in found]) for name in ("identified", "noisy"))
    predicted, actual, with_noise = (
        np.array([1 - f[name].mean() for f in found]) for name in ("expected", "actual", "with_noise")
    )
    covered = np.array(
        [np.mean((f["interval"][:, 0] <= f["with_noise"]) & (f["with_noise"] <= f["interval"][:, 1])) for f in found]
    )

    def within(truth: np.ndarray) -> np.ndarray:
        return (predicted > truth / 2) & (predicted < truth * 2)

    clean, hidden = within(actual), within(with_noise)
    table = {
        "predicted 1 - MCC within a factor 2, identified fits without noise": share(clean, identified & ~noisy),
        "the same with noise, noise that was not found counted as latent": share(hidden, identified & noisy),
        "the same with noise, all noise counted as error": share(clean, identified & noisy),
        "the same, all identified fits, noise that was not found counted as latent": share(hidden, identified),
        "predicted at least half of the actual 1 - MCC, likewise": share(predicted > with_noise / 2, identified),
        "latents inside the 90 % interval, likewise": f"{100 * covered[identified].mean():.1f} %",
        "flagged, of fits with actual MCC below 0.95": share(~identified, actual > 0.05),
        "flagged, of fits with actual MCC below 0.98": share(~identified, actual > 0.02),
        "passed, of fits with actual MCC above 0.99": share(identified, actual < 0.01),
    }
    print(f"| over {len(found)} random settings | share |\n|---|---|")
    for what, value in table.items():
        print(f"| {what} | {value} |")


if __name__ == "__main__":
    main()
