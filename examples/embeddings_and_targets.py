"""Stage two alone: embeddings from any model, and many targets.

    python examples/embeddings_and_targets.py

Each task is a small experiment of its own (long layout) of 100 rows: some latents cause its target, others are caused
by it.
"""

from __future__ import annotations

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc


def main() -> None:
    data = make_linear_tasks(n_tasks=200, n_samples=100, n_latents=10, n_causal=4, random_state=1)
    embeddings, y, tasks = data.H, data.y, data.tasks

    model = MTLCM(random_state=0).fit(embeddings, y, tasks=tasks)
    latents = model.transform(embeddings)

    match = mcc(latents, data.Z)
    print(f"agreement with the true latents: {match.score:.4f}")
    print(f"of the embeddings themselves: {mcc(embeddings, data.Z).score:.2f}")
    roles = (model.causal_probability_ > 0.5) == data.causal[:, match.assignment]
    print(f"roles (cause or effect) right: {roles.mean():.1%}")
    for verdict, reason in list(zip(model.certificate_.verdict, model.certificate_.reasons, strict=True))[:3]:
        print(f"{verdict}: {reason}")
    print(f"goodness of fit: p = {model.certificate_.goodness_of_fit.p_value:.2f}")


if __name__ == "__main__":
    main()
