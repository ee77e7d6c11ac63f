import json

import numpy as np
import pyarrow as pa

from identirep import MTRN, IdentifiableRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4))
Y = X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(200, 8))
names = ["Fe", "Ni", "Cu", "Zn"]
table = pa.table([pa.array(column) for column in X.T], names=names)
stage = MTRN(hidden_sizes=(8,), n_features=6, n_replicates=2, max_epochs=30)
model = IdentifiableRegressor(2, regressor=stage, random_state=0).fit(table, Y, [f"task {t}" for t in range(8)])
model.save("tests/data/run_v1")
rows = table.slice(0, 5)
expected = {
    "X": X[:5].tolist(),
    "latents": model.transform(rows).tolist(),
    "predictions": model.predict(rows).tolist(),
    "task_names": list(model.task_names_),
    "verdict": model.certificate_.verdict,
}
with open("tests/data/run_v1/expected.json", "w") as file:
    json.dump(expected, file, indent=1)
