"""The rule of the verdicts: what overrides what, and that each reason says what to do."""

import numpy as np
import pytest

from identirep.mtlcm.trust.verdict import Evidence, judge

_SOUND = Evidence(
    signal=True,
    any_signal=True,
    other_rows=0.99,
    least=0.97,
    turn_probability=0.0,
    how="measured",
    own_rows=True,
    apart=0.995,
    by_chance=False,
    mixes="latents 1 and 2 are not told apart: fit with one latent fewer",
    lonely=False,
    encoder=None,
    alone=False,
)


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, "identified", "tell it apart"),
        ({"encoder": 0.99}, "identified", "tell it apart"),
        ({"encoder": np.nan}, "reproducible", "not measured"),
        ({"encoder": 0.9}, "reproducible", "0.90 only"),
        ({"own_rows": False, "encoder": np.nan}, "reproducible", "other targets"),
        ({"own_rows": False}, "reproducible", "other targets"),
        ({"apart": 0.9}, "reproducible", "fit with one latent fewer"),
        ({"apart": np.nan}, "reproducible", "fit with one latent fewer"),
        ({"lonely": True}, "reproducible", "n_init"),
        ({"contradicted": "the exact likelihood does not fit: compare"}, "reproducible", "compare"),
        ({"by_chance": True}, "unstable", "fit with one latent fewer"),
        (
            {"other_rows": 0.8, "least": 0.5},
            "unstable",
            "does not come back on other rows: fit with fewer",
        ),
        ({"other_rows": 0.8, "least": 0.5, "apart": 0.5}, "unstable", "latents 1 and 2"),
        ({"least": 0.6}, "unstable", "fit with fewer latents"),
        ({"least": 0.6, "alone": True}, "unstable", ": add rows"),
        ({"least": 0.89}, "unstable", "does not come back"),
        ({"least": 0.91, "other_rows": 0.95}, "identified", "comes back"),
        ({"turn_probability": 0.5}, "unstable", "turns it with a probability of 50%"),
        ({"turn_probability": np.nan}, "identified", "tell it apart"),
        ({"other_rows": np.nan, "how": "too few rows"}, "not checked", "too few rows"),
        ({"signal": False}, "unstable", "no signal: no target"),
        ({"any_signal": False}, "unstable", "no signal: the targets"),
        # What nobody has looked at is not known to come back nor not to, signal or none.
        ({"any_signal": False, "other_rows": np.nan, "how": "no fits"}, "not checked", "chance; no fits"),
        ({"signal": False, "other_rows": np.nan, "how": "no fits"}, "not checked", "one latent fewer; no fits"),
    ],
)
def test_the_rule(changes, verdict, reason):
    found = judge(_SOUND._replace(**changes))
    assert found[0] == verdict
    assert reason in found[1]


@pytest.mark.parametrize("own_rows", [True, False])
def test_what_is_measured_overrides_what_is_expected(own_rows):
    sure = _SOUND._replace(own_rows=own_rows, apart=1.0, encoder=1.0, other_rows=0.7, least=0.4)
    assert judge(sure)[0] == "unstable"
