r"""Which axes can be trusted: how well the data tell the latents apart, and how far the fit moves without some tasks.

With lambda_ti the variance of latent i given the target, p_t the task weights and
G_ij = sum_t p_t lambda_tj / lambda_ti, the Fisher information of the relative coordinates of the unmixing matrix gives,
without observation noise (`model.information` has it with noise, and for the exact likelihood),

    separation  rho_ij = 1 / (G_ij G_ji)                        1: no task tells i and j apart
    leakage     var(E_ij) = G_ji / (N (G_ij G_ji - 1))          variance of the share of latent j in estimated axis i
    expected MCC of axis i = 1 - 1/2 sum_j var(E_ij) var(z_j) / var(z_i).

The Fisher formula believes the model. The sandwich form of var(E_ij) does not, nor does a Bayesian bootstrap over
tasks: errors of the model have a random sign from task to task and show as scores that differ and as movement between
refits. Starts that fit equally well but disagree tell of flat directions. The tasks tell a latent apart only if all of
them let it; what is expected of it is the best estimate, not the lowest. Estimated variances differ between tasks also
where the true ones do not: a pair is told apart only if its separation is beyond what the fit makes of sampling error.

All of that takes the features as given. Whether an axis comes back is measured by refits (`comes_back`), and what both
amount to is said in `verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import chi2

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit, Starts, latent_agreement
from identirep.mtlcm.model import fisher_leakage
from identirep.mtlcm.trust.comes_back import ComesBack
from identirep.mtlcm.trust.goodness import GoodnessOfFit, goodness_of_fit
from identirep.mtlcm.trust.latents import latent_information, noise_reliability
from identirep.mtlcm.trust.leakage import loss_quantiles, moderated_leakage, robust_leakage
from identirep.mtlcm.trust.refits import BootstrapResult, bootstrap, refitted
from identirep.mtlcm.trust.showing import certificate_html, certificate_text
from identirep.mtlcm.trust.signal import heads, noise_edge, signal_strength
from identirep.mtlcm.trust.some_tasks import on_some_tasks
from identirep.mtlcm.trust.verdict import IDENTIFIED, REPRODUCIBLE, Evidence, judge

__all__ = ["Certificate", "certify"]

_REJECTED = 0.01
# Correlation with an axis of the factorised likelihood that confirms one of the exact likelihood.
_CONFIRMED = 0.95
_N_REFITS = 10
# The interval of the expected correlation holds 90%.
_LEVELS = (0.05, 0.95)
# Reasons name the latents that make up this share of the leakage, and no more than so many.
_NAMED_SHARE, _MOST_NAMED = 0.5, 3


@dataclass(frozen=True)
class Certificate:
    """What the data say about each latent axis.

    *Comes back* (another fit gives the same axes) is measured, in `comes_back`. *Is the latent of the causal model* is
    said only where tasks have rows of their own; `separation`, `leakage`, `fisher_mcc`, `robust_mcc`, `bootstrap_mcc`
    and `features_mcc` are about that, features given, and `goodness_of_fit` is about the model itself.

    Parameters
    ----------
    verdict : list of str, length D
        "identified": comes back on other rows, is told apart from every other axis by the tasks, which have rows of
        their own, and the encoder, if there is one, is shown to carry it. "reproducible": comes back on other rows, for
        these targets. "unstable": does not. "not checked": no refits were made.
    reasons : list of str, length D
        Why, and what to do about it.
    comes_back : ComesBack
        Correlation of each axis with its partner in other fits, and the chance that it turns.
    expected_mcc : array, shape (D,)
        Expected correlation of each axis with the latent of the causal model, where one may be spoken of and every
        known source of error is in it: in tasks with rows of their own, for axes that come back, with an encoder that
        was judged. NaN elsewhere.
    expected_mcc_interval : array, shape (D, 2)
        Range in which that correlation lies with 90% probability, given noise and encoder; NaN elsewhere.
    separation : array, shape (D, D)
        For each pair, in (0, 1]: 1 means that no task tells the two apart.
    leakage : array, shape (D, D)
        Expected variance of the share of latent j (column) in axis i (row) if the model holds; the diagonal is 0. It is
        1 if the tasks tell the two apart no more than chance does.
    robust_leakage : array, shape (D, D)
        The same without believing the model (sandwich covariance): from how much the tasks pull the axes in different
        directions. NaN off the diagonal with two tasks, which leave no degree of freedom.
    goodness_of_fit : GoodnessOfFit
        Statistic and p-value. Small p-values reject the model. NaN if no task has enough rows to test.
    head_rank : int
        Number of directions of the latents in which the targets carry more signal than chance.
    head_condition : float
        Ratio of the largest to the smallest singular value of the task heads.
    features_mcc : array, shape (D,)
        Expected correlation of each axis with the latent if the model holds for these features: the best estimate, from
        `leakage` and `robust_leakage` joined (the model is believed as far as the tasks' scores bear it out), lower
        where refits move more than that or tied starts disagree, times `noise_mcc`. It knows nothing of an encoder.
    features_mcc_interval : array, shape (D, 2)
        Range in which that correlation lies with 90% probability, given the noise: from the law of
        1/2 sum_j E_ij^2 and the spread of the bootstrap, the wider of the two, around `features_mcc`.
    fisher_mcc : array, shape (D,)
        Expected correlation if the model holds.
    bootstrap_mcc : array, shape (D,)
        Mean correlation of the axis with its partner in refits with random weights on the tasks, features given: an
        estimate of what other tasks would give.
    tie_mcc : array, shape (D,)
        Lowest correlation of the axis with its partner in any start that fits equally well, within sampling noise.
    noise_mcc : array, shape (D,)
        Correlation of the posterior mean with the latent that observation noise leaves, if the axes are right.
    n_tied_starts : int
        Starts of the solver as likely as the best one within sampling noise, itself included.
    has_signal : array of bool, shape (D,)
        Whether the targets carry more signal along the axis than chance.
    is_lonely : bool
        Whether a single start reached this optimum of a likelihood that has many, and the model does not fit.
    own_rows : bool
        Whether tasks have rows of their own.
    encoder_mcc : array, shape (D,), or None
        Correlation of the features' latents with those of the causal model, which an encoder leaves; NaN where it was
        not measured, None for features without encoder.

    Notes
    -----
    With shared inputs (all tasks observed on the same rows) the law of the latents is the same for every task, so the
    causal model cannot hold for all of them at once: axes are reproducible at best, and the test rejects. The test then
    is the smallest p-value over tasks, Bonferroni-corrected.

    Observation noise that the likelihood cannot tell from the latents' own variation (none was found, inputs are
    shared, or the mixing is orthogonal) counts as part of the latents: `expected_mcc` does not contain it.
    """

    verdict: list[str]
    reasons: list[str]
    comes_back: ComesBack
    expected_mcc: Array
    expected_mcc_interval: Array
    separation: Array
    leakage: Array
    robust_leakage: Array
    goodness_of_fit: GoodnessOfFit
    head_rank: int
    head_condition: float
    features_mcc: Array
    features_mcc_interval: Array
    fisher_mcc: Array
    bootstrap_mcc: Array
    tie_mcc: Array
    noise_mcc: Array
    n_tied_starts: int
    has_signal: BoolArray
    is_lonely: bool
    own_rows: bool
    encoder_mcc: Array | None = None
    factorized_mcc: Array | None = None
    rows_examined: bool = False

    def __repr__(self) -> str:
        return certificate_text(self.verdict, self.reasons, self.comes_back)

    def _repr_html_(self) -> str:
        return certificate_html(self.verdict, self.reasons, self.comes_back)

    @property
    def robust_mcc(self) -> Array:
        """Expected correlation without believing the model, shape (D,); that of the model with two tasks."""
        known = np.where(np.isnan(self.robust_leakage), self.leakage, self.robust_leakage)
        return _correlation(known)

    @property
    def tie_disagreement(self) -> float:
        """One minus the lowest correlation of any axis with its partner in a tied start; 0 if all ties agree."""
        return float(max(0.0, 1.0 - self.tie_mcc.min(initial=1.0)))

    @classmethod
    def empty(cls) -> Certificate:
        """Return the certificate of a representation without axes: the targets carry no signal.

        Returns
        -------
        Certificate
            With no latents, and rank 0.
        """
        none, square = np.zeros(0), np.zeros((0, 0))
        return cls(
            verdict=[],
            reasons=[],
            comes_back=ComesBack.unknown(0, "there are no axes"),
            expected_mcc=none,
            expected_mcc_interval=np.zeros((0, 2)),
            separation=square,
            leakage=square,
            robust_leakage=square,
            goodness_of_fit=GoodnessOfFit(float("nan"), float("nan")),
            head_rank=0,
            head_condition=float("nan"),
            features_mcc=none,
            features_mcc_interval=np.zeros((0, 2)),
            fisher_mcc=none,
            bootstrap_mcc=none,
            tie_mcc=none,
            noise_mcc=none,
            n_tied_starts=0,
            has_signal=np.zeros(0, dtype=bool),
            is_lonely=False,
            own_rows=False,
        )

    def without_signal(self) -> Certificate:
        """Return this certificate with no axis trusted, because held-out rows show no signal.

        Returns
        -------
        Certificate
            Every verdict is "unstable".
        """
        return replace(self, has_signal=np.zeros(len(self.verdict), dtype=bool), head_rank=0)._judged()

    def checked(self, comes_back: ComesBack, encoder_mcc: Array | None = None) -> Certificate:
        """Return this certificate judged by what was measured.

        Parameters
        ----------
        comes_back : ComesBack
            What refits show.
        encoder_mcc : array, shape (D,), optional
            Correlation that the encoder leaves between axes and latents, NaN where that was not measured; default there
            is no encoder.

        Returns
        -------
        Certificate
            With other verdicts, reasons and expected correlations.
        """
        return replace(self, comes_back=comes_back, encoder_mcc=encoder_mcc)._judged()

    def _judged(self) -> Certificate:
        """Judge each axis by what is known of it, and say what is expected of those that come back."""
        judged = [judge(self._evidence(i)) for i in range(len(self.has_signal))]
        verdict, reasons = [word for word, _ in judged], [reason for _, reason in judged]
        encoder = np.ones(len(verdict)) if self.encoder_mcc is None else self.encoder_mcc
        known = self.own_rows & np.isin(verdict, (IDENTIFIED, REPRODUCIBLE))
        factor = np.where(known, encoder, np.nan)
        return replace(
            self,
            verdict=verdict,
            reasons=reasons,
            expected_mcc=self.features_mcc * factor,
            expected_mcc_interval=self.features_mcc_interval * factor[:, None],
        )

    def _evidence(self, i: int) -> Evidence:
        lowest = np.fmin.reduce([self.fisher_mcc, self.robust_mcc, self.bootstrap_mcc, self.tie_mcc])[i]
        if np.isnan(self.fisher_mcc[i]):
            # What the model makes no number of is no evidence either.
            lowest = np.nan
        mixes = _mixes_with(i, np.fmax(self.leakage, self.robust_leakage)[i], self.separation[i])
        if self.noise_mcc[i] < lowest:
            mixes = f"observation noise blurs it, amplified by the mixing, and {mixes}"
        elif self.tie_mcc[i] == lowest:
            mixes = f"starts that fit equally well disagree, and {mixes}"
        back = self.comes_back
        return Evidence(
            signal=bool(self.has_signal[i]),
            any_signal=self.head_rank > 0,
            other_rows=float(back.other_rows[i]),
            least=float(back.other_rows_interval[i, 0]),
            turn_probability=float(back.turn_probability[i]),
            how=back.how,
            own_rows=self.own_rows,
            apart=float(lowest * self.noise_mcc[i]),
            by_chance=bool(np.any(self.leakage[i] >= 1.0)),
            mixes=mixes,
            lonely=self.is_lonely,
            encoder=None if self.encoder_mcc is None else float(self.encoder_mcc[i]),
            alone=len(self.has_signal) == 1,
            contradicted=self._contradiction(i),
        )

    def _contradiction(self, i: int) -> str:
        """Say what stands against an axis of the exact likelihood where that does not fit; nothing for the other."""
        if self.factorized_mcc is None or self.goodness_of_fit.p_value > _REJECTED:
            return ""
        if not self.factorized_mcc[i] >= _CONFIRMED:
            return (
                "the factorised likelihood finds another axis and the exact one does not fit: compare with "
                "MTLCM(prior='factorized')"
            )
        if not self.rows_examined:
            return (
                "the exact likelihood does not fit, and a few rows with errors make it certain of wrong axes: fit to "
                "rows with robust='auto', or compare with MTLCM(prior='factorized')"
            )
        return ""


def certify(
    fit: LatentFit, moments: TaskMoments, causal: BoolArray, rng: np.random.Generator, *, rows_examined: bool = False
) -> Certificate:
    """Compute what formulas and tasks say of a fit to moments, from its most probable roles; not checked on rows.

    The generator is for the refits with other weights of the tasks.
    """
    information = latent_information(fit, moments, causal)
    separation, modelled = fisher_leakage(information)
    robust, freedom = robust_leakage(information)
    joined = moderated_leakage(modelled, robust, freedom)
    refits = BootstrapResult("tasks", on_some_tasks(partial(_reweighted, rng=rng), fit, moments, causal, rng))
    tied = _tied(fit.starts, moments._n_effective_rows)
    ties = fit.starts.agreement[tied].min(axis=0)
    noise = noise_reliability(fit, moments)
    goodness = goodness_of_fit(fit, moments, causal)
    # A lone optimum of a likelihood that has many may not be the best there is, unless the model fits.
    lonely = information.has_many_optima and np.sum(tied) == 1 and not goodness.p_value > _REJECTED
    signal = signal_strength(fit.components, moments) > noise_edge(len(fit.unmixing), moments)
    singular, rank = heads(fit.components, moments)
    axis = np.minimum(np.minimum(_correlation(joined), _surely_seen(refits.agreement)), ties)
    losses = loss_quantiles(1.0 - axis, joined, 1.0 - refits.agreement, _LEVELS)
    return Certificate(
        verdict=[],
        reasons=[],
        comes_back=ComesBack.unknown(len(axis), "no fit to other rows was made"),
        expected_mcc=axis,
        expected_mcc_interval=losses,
        separation=separation,
        leakage=modelled,
        robust_leakage=robust,
        goodness_of_fit=goodness,
        head_rank=rank,
        head_condition=float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf"),
        features_mcc=axis * noise,
        features_mcc_interval=(1.0 - losses[:, ::-1]) * noise[:, None],
        fisher_mcc=_correlation(modelled),
        bootstrap_mcc=refits.mcc,
        tie_mcc=ties,
        noise_mcc=noise,
        n_tied_starts=int(np.sum(tied)),
        has_signal=signal,
        is_lonely=bool(lonely),
        own_rows=moments._has_own_rows,
        factorized_mcc=_factorized_agreement(fit, moments, causal, rng) if fit.prior == "exact" else None,
        rows_examined=rows_examined,
    )._judged()


def _reweighted(
    fit: LatentFit, moments: TaskMoments, causal: BoolArray, _: IntArray, rng: np.random.Generator
) -> Array:
    """Agreement of refits with other weights of the tasks."""
    return bootstrap(fit, moments, causal, "tasks", _N_REFITS, rng).agreement


def _factorized_agreement(fit: LatentFit, moments: TaskMoments, causal: BoolArray, rng: np.random.Generator) -> Array:
    """Correlation of each axis with its partner in a fit of the factorised likelihood, shape (D,).

    The exact likelihood knows more, and is the more fragile: rows that are not of the model can look like any roles.
    """
    B = refitted(replace(fit, prior="factorized"), moments, causal, rng)
    return np.asarray(latent_agreement(fit.unmixing, B, moments.pooled_covariance()).per_latent)


def _tied(starts: Starts, n_rows: float) -> BoolArray:
    """Starts as likely as the best within sampling noise (95% point of chi-squared, one degree for each E_ij)."""
    D = starts.agreement.shape[1]
    loss = 2.0 * n_rows * (starts.criterion - starts.criterion.min())
    return np.asarray(loss <= chi2.ppf(0.95, max(D * (D - 1), 1)))


def _correlation(leakage: Array) -> Array:
    """Expected correlation of each axis; latents have unit pooled variance, so that leakage is relative already."""
    return np.clip(1.0 - 0.5 * leakage.sum(axis=1), 0.0, 1.0)


def _surely_seen(agreement: Array) -> Array:
    """Agreement with refits as far as their number tells: the mean plus two standard errors, shape (D,)."""
    n_refits = len(agreement)
    error = agreement.std(axis=0, ddof=1) / np.sqrt(n_refits) if n_refits > 1 else 0.0
    return np.asarray(np.minimum(agreement.mean(axis=0) + 2.0 * error, 1.0))


def _mixes_with(i: int, leakage: Array, separation: Array) -> str:
    """Say which latents an axis is not told apart from, as many as make up half of the leakage, and what helps."""
    others = np.argsort(-leakage, kind="stable")
    others = others[others != i]
    total = leakage.sum()
    if not len(others) or not total > 0.0:
        return "its correlation with the latent is not known"
    if leakage[others[0]] >= 1.0:
        named, how = others[leakage[others] >= 1.0], "better than by chance"
    else:
        enough = int(np.searchsorted(np.cumsum(leakage[others]), _NAMED_SHARE * total)) + 1
        named, how = others[:enough], "well enough"
    named = named[:_MOST_NAMED]
    *first, last = sorted([i, *named.tolist()])
    apart = ", ".join(f"{separation[j]:.3f}" for j in named)
    return (
        f"latents {', '.join(map(str, first))} and {last} are not told apart {how} (separation {apart}): fit with one "
        "latent fewer, or add tasks that depend on one of them"
    )
