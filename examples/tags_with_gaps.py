"""Tags of handwritten digits, a third of them unknown: latents of binary targets, and AUC against logistic regression.

The 1,797 digits of scikit-learn have ten tags (is it even, has it a closed loop, ...), as an assay table or a photo
archive has: each label is 0, 1 or unknown. Run it: python examples/tags_with_gaps.py
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from identirep import MTRN, IdentifiableRegressor

TAGS = {
    "even": "02468",
    "prime": "2357",
    "at least 5": "56789",
    "closed loop": "0689",
    "two loops": "8",
    "straight lines alone": "147",
    "starts at the top left": "57",
    "ends at the bottom right": "24",
    "curve to the right": "2359",
    "a power of two": "1248",
}


def main(quick: bool) -> None:
    """Fit both stages to the tags, and compare probabilities on a quarter of the digits."""
    digits = load_digits()
    rng = np.random.default_rng(0)
    Y = np.array([[str(d) in members for members in TAGS.values()] for d in digits.target], dtype=float)
    known = np.where(rng.random(Y.shape) < 1 / 3, np.nan, Y)
    train, test = np.split(rng.permutation(len(Y)), [1350])
    stage = MTRN(n_replicates=2, max_epochs=30) if quick else MTRN()
    model = IdentifiableRegressor(regressor=stage, n_checks=0 if quick else 2, random_state=0)
    model.fit(digits.data[train], known[train], tasks=list(TAGS))
    print(f"{model.n_components_} latents of {len(TAGS)} tags, {np.isnan(known).mean():.0%} of labels unknown")
    print("Verdicts:", ", ".join(model.certificate_.verdict))
    probability, ours, theirs = model.predict_proba(digits.data[test]), [], []
    print(f"{'':26}latents  logistic regression (AUC, {len(test)} other digits)")
    for t, tag in enumerate(TAGS):
        rows = train[~np.isnan(known[train, t])]
        single = LogisticRegression(max_iter=5000, C=0.01).fit(digits.data[rows], Y[rows, t])
        ours.append(roc_auc_score(Y[test, t], probability[:, t]))
        theirs.append(roc_auc_score(Y[test, t], single.predict_proba(digits.data[test])[:, 1]))
        print(f"{tag:26}{ours[-1]:.3f}    {theirs[-1]:.3f}")
    print(f"{'mean':26}{np.mean(ours):.3f}    {np.mean(theirs):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller networks, no checks")
    main(parser.parse_args().quick)
