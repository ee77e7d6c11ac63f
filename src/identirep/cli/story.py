"""What the demo tells after two fits: an axis with a name, carried over to new rows, used for a new target, watched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.cli.console import say

if TYPE_CHECKING:
    from identirep.cli.tables import Table
    from identirep.comparing import Comparison, Drift
    from identirep.evaluation import Evaluation
    from identirep.metrics import MCCResult
    from identirep.regressor import IdentifiableRegressor

__all__ = ["AGREES", "N_LABELLED", "FewRows", "NamedAxis", "Story", "Trainings", "tell", "title"]

# Correlation from which an axis counts as the same.
AGREES = 0.95
# Labelled rows of the new target, and draws of them.
N_LABELLED, _N_DRAWS = 20, 25
# Penalties of ridge regressions on features in like units, and on inputs as they are.
_OF_FEATURES, _OF_INPUTS = np.logspace(-2, 4, 13), np.logspace(-4, 4, 17)
_MOST_NAMED = 3


@dataclass(frozen=True)
class Trainings:
    """Two trainings on rows that neither has seen: of what both learnt, the match and the correlations by partners."""

    match: MCCResult
    correlation: Array

    @property
    def n_agreeing(self) -> int:
        """Number that comes back."""
        return int(np.sum(self.match.per_latent >= AGREES))

    def in_words(self) -> str:
        """Say how many come back."""
        return f"{self.n_agreeing} of {len(self.match.per_latent)} come back, mean correlation {self.match.score:.3f}"


@dataclass(frozen=True)
class NamedAxis:
    """The axis that got a name, and its correlation with the target that it is named after."""

    latent: int
    name: str
    correlation: float


@dataclass(frozen=True)
class FewRows:
    """Held-out R2 of a target learnt from few rows, one for each draw of these.

    By latents of the first model and, with nothing learnt again, by those of the next one; the same by features of a
    network of each; by inputs. Of the draw with the median R2 also known values and both predictions by latents.
    """

    latents: Array
    latents_after: Array
    features: Array
    features_after: Array
    inputs: Array
    known: Array
    predicted: Array
    predicted_after: Array

    def median(self, which: str) -> float:
        """Return the median R2 over draws."""
        return float(np.median(getattr(self, which)))

    def in_words(self, which: str) -> str:
        """Return the median R2 and the range of the middle half of the draws."""
        low, high = np.percentile(getattr(self, which), [25, 75])
        return f"R² {self.median(which):.2f} (half of the draws: {low:.2f} to {high:.2f})"


@dataclass(frozen=True)
class Story:
    """All that was found, for people, machines and the picture."""

    features: Trainings
    latents: Trainings
    named: NamedAxis | None
    retrained: IdentifiableRegressor
    evaluation: Evaluation
    # Latents of rows that no fit has seen, by the first model and by the next one.
    before: Array
    after: Array
    target: str
    few_rows: FewRows
    drift: dict[str, Drift]
    # Rows with the element, among those held out.
    has_element: BoolArray
    element: str

    def for_machines(self, directory: Path) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        found: Comparison = self.retrained.comparison_  # type: ignore[assignment]
        named = self.named
        few = {name: self.few_rows.median(name) for name in _LEARNT}
        return {
            "features_that_come_back": self.features.n_agreeing,
            "n_features": len(self.features.match.per_latent),
            "latents_that_come_back": self.latents.n_agreeing,
            "named_latent": None if named is None else named.latent,
            "name": None if named is None else named.name,
            "retrained": directory,
            "n_kept": int(found.kept.sum()),
            "name_is_kept": None if named is None else bool(found.kept[named.latent]),
            "correlation_after": None if named is None else float(found.correlation[named.latent]),
            "new_target": self.target,
            "n_labelled": N_LABELLED,
            "r2": few,
            "moved": {rows: int(drift.latents.moved.sum()) for rows, drift in self.drift.items()},
        }


_LEARNT = ("latents", "latents_after", "features", "features_after", "inputs")


def title(text: str) -> None:
    """Print the title of a part."""
    say()
    say(text, style="bold underline")


def tell(
    models: list[IdentifiableRegressor], held_out: Table, later: Table, target: str, y: Array, element: str
) -> Story:
    """Tell what follows two fits, on rows held out, with values `y` of a new target there, and on later rows."""
    from identirep.cli.runs import evaluate, fit_model
    from identirep.comparing import check_drift

    first = models[0]
    features = _compared(*(network_features(model, held_out) for model in models[:2]))
    latents = _compared(*(model.transform(held_out.X) for model in models[:2]))
    say()
    say(f"The same for the two networks on {len(y):,} held-out rows; correlations of {AGREES} and more count:")
    say(f"  raw features of the network: {features.in_words()}")
    say(f"  latents:                     {latents.in_words()}")
    title("2. Name an axis that comes back")
    named = _name(first)
    title(f"3. Train again on {len(later.targets):,} other rows, and keep the axes")
    second = fit_model(later, "auto", 7, n_checks=0, like=first)
    _say_what_is_kept(second, named)
    title(f"4. Use them: predict a new target, {target}, from {N_LABELLED} rows")
    few_rows = _learnt_from_few(first, second, held_out, y)
    _say_what_was_learnt(few_rows, target)
    title("5. Watch them: are new rows like those of the fit?")
    has_element = np.asarray(held_out.X.column(element)) > 0
    drift = {"all": check_drift(first, held_out.X), element: check_drift(first, held_out.X.filter(has_element))}
    say(
        "Does each axis still look as it did, and has any row left what was known? Held-out rows should raise no alarm."
    )
    _say_what_has_moved("held-out rows", drift["all"])
    _say_what_has_moved(f"of these, all with {element}", drift[element])
    return Story(
        features,
        latents,
        named,
        second,
        evaluate(second, later, later, held_out),
        first.transform(held_out.X),
        second.transform(held_out.X),
        target,
        few_rows,
        drift,
        has_element,
        element,
    )


def network_features(model: IdentifiableRegressor, rows: Table) -> Array:
    """Return the last layer of the first network of a fit, before anything is done to it."""
    import torch

    stage: Any = model.regressor_
    inputs = torch.from_numpy(np.ascontiguousarray(model._checked_inputs(rows.X), dtype=np.float32))
    with torch.no_grad():
        return np.asarray(stage.module_(inputs)[0].double().numpy())


def _compared(first: Array, second: Array) -> Trainings:
    from identirep.canonical_analysis import cross_correlation
    from identirep.metrics import mcc

    match = mcc(first, second)
    return Trainings(match, np.abs(cross_correlation(first, second, "pearson"))[:, match.assignment])


def _name(model: IdentifiableRegressor) -> NamedAxis | None:
    """Name the axis that comes back best after the target that goes with it most."""
    from identirep.report import Findings

    findings = Findings.of(model)
    certificate = findings.certificate
    back = [i for i, verdict in enumerate(certificate.verdict) if verdict in ("identified", "reproducible")]
    if not back:
        say("No axis comes back on other rows, so that none gets a name: more rows would help, or fewer latents.")
        return None
    i = max(back, key=lambda i: float(certificate.comes_back.other_rows[i]))
    target, correlation = findings.strongest(i, 1)[0]
    model.name_latents({i: str(target)})
    say(
        f"Latent {i} comes back best ({certificate.comes_back.other_rows[i]:.3f} expected on other rows) and goes with "
        f"the target {target} (correlation {correlation:+.2f}): it is called {target}. What it stands for is for you "
        "to say; the tool says that it will be there again."
    )
    return NamedAxis(i, str(target), float(correlation))


def _say_what_is_kept(model: IdentifiableRegressor, named: NamedAxis | None) -> None:
    """Say which axes the next model has kept."""
    found: Comparison = model.comparison_  # type: ignore[assignment]
    say(
        f"{int(found.kept.sum())} of {len(found.kept)} axes are kept, with number, sign, scale and "
        f"name, measured on {found.n_rows:,} {found.rows}."
    )
    if named is None:
        return
    i = named.latent
    if not found.kept[i]:
        say(f"{named.name} is not among them ({found.verdict[i]}), so that it has no name in the next model.")
    else:
        low, high = found.interval[i]
        say(f"{named.name} is: correlation {found.correlation[i]:.3f} ({low:.3f} to {high:.3f}) with what it was.")


def _learnt_from_few(old: IdentifiableRegressor, new: IdentifiableRegressor, rows: Table, y: Array) -> FewRows:
    """Learn a target from few rows by an old model, and score it on the others, by the old and by the new model."""
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    latents = old.transform(rows.X), new.transform(rows.X)
    features, inputs = (network_features(old, rows), network_features(new, rows)), rows.inputs()
    rng = np.random.default_rng(0)
    scores, drawn = [], []
    for _ in range(_N_DRAWS):
        few = rng.choice(len(y), N_LABELLED, replace=False)
        # Rows of a composition that was learnt from are not scored.
        others = np.ones(len(y), dtype=bool) if rows.groups is None else ~np.isin(rows.groups, rows.groups[few])
        others[few] = False
        # The latents of all rows are known already.
        task = replace(old.adapt(rows.X.take(few), y[few]), transform=np.asarray)
        predictions = [task.predict(Z[others]) for Z in latents]
        ridge = make_pipeline(StandardScaler(), RidgeCV(_OF_FEATURES)).fit(features[0][few], y[few])
        predictions += [ridge.predict(values[others]) for values in features]
        # Of few rows most inputs are constant, so that their units are no help.
        predictions.append(RidgeCV(_OF_INPUTS).fit(inputs[few], y[few]).predict(inputs[others]))
        scores.append([float(r2_score(y[others], each)) for each in predictions])
        drawn.append((y[others], *predictions[:2]))
    table = np.array(scores)
    return FewRows(*table.T, *drawn[int(np.argsort(table[:, 0])[_N_DRAWS // 2])])


def _say_what_was_learnt(found: FewRows, target: str) -> None:
    say(
        f"No fit has seen {target}. Learnt from {N_LABELLED} held-out rows, scored on the others, median of {_N_DRAWS} "
        "draws of these rows:"
    )
    say(f"  on the latents:                         {found.in_words('latents')}")
    say(f"  the same, applied to the next model:    {found.in_words('latents_after')}")
    say(f"  on raw features of the network:         {found.in_words('features')}")
    say(f"  the same, applied to the next model:    {found.in_words('features_after')}")
    say(f"  on the inputs:                          {found.in_words('inputs')}")


def _say_what_has_moved(rows: str, found: Drift) -> None:
    """Say which axes have moved, those first that moved most."""
    latents = found.latents
    axes = sorted(
        (-abs(by), name, by)
        for name, by, has_moved in zip(latents.names, latents.shift, latents.moved, strict=True)
        if has_moved
    )
    named = ", ".join(f"{name} by {by:+.1f} sd" for _, name, by in axes[:_MOST_NAMED])
    most = f", most of all {named}" if axes else ""
    say(
        f"  {found.n_rows:,} {rows}: {len(axes)} of {len(latents.names)} axes have moved{most} "
        f"(false alarms at a rate of {found.level:g}); {len(found.outside):,} rows lie outside."
    )
