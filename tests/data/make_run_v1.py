"""Write the run directory of format 1 that newer versions must load: ``python tests/data/make_run_v1.py``."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from identirep import MTRN, IdentifiableRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4))
Y = X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(200, 8))
table = pa.table([pa.array(column) for column in X.T], names=["Fe", "Ni", "Cu", "Zn"])
stage = MTRN(hidden_sizes=(8,), n_features=6, n_replicates=2, max_epochs=30)
names = [f"task {t}" for t in range(8)]
model = IdentifiableRegressor(2, regressor=stage, random_state=0).fit(table, Y, names)

run = Path(__file__).with_name("run_v1")
model.save(run)
expected = {
    "X": X[:5].tolist(),
    "latents": model.transform(table)[:5].tolist(),
    "predictions": model.predict(table)[:5].tolist(),
    "task_names": names,
    "verdict": list(model.certificate_.verdict),
}
(run / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")
