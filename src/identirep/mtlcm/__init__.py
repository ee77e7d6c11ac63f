r"""Stage two: the multi-task linear causal model of the paper (arXiv 2306.14861), and what can be known of it.

In task t each latent either causes the target or is caused by it (Figure 1), and features mix latents linearly (9). The
factorised prior p(z | y, t) (6) makes the axes unique up to order, sign and scale, where Theorem 3.2 leaves those of
stage one unique up to an invertible matrix. Symbols, with K features, D latents and T tasks:

========  ===========================  ===========  =========================================  =======================
paper     here                         shape        what                                       computed in
========  ===========================  ===========  =========================================  =======================
h, z      ``H``, ``Z``                 (n, K or D)  features and latents, h = A z + e (9)      ``using.py``
A         ``mixing``                   (K, D)       mixing of (9)                              ``axes/fit.py``
B         ``unmixing``                 (D, K)       inverse of A on the span of the latents    ``axes/fit.py``
o^2       ``noise_variance``           float        variance of e in (9)                       ``axes/noise.py``
c_t       ``causal``                   (T, D)       which latents cause the target (Figure 1)  ``roles/posterior.py``
w_t       ``causal_coef``              (T, D)       target given its causes                    ``fitted.py``
gamma_t   ``spurious_coef``            (T, D)       effects given the target                   ``fitted.py``
lambda_t  ``variances``                (T, D)       variance of latents given the target (6)   ``axes/fit.py``
R_t       ``residual_covariances``     (T, K, K)    cov(h | y)                                 ``model/likelihood.py``
p_t       ``weights``                  (T,)         share of a task among all rows             ``../moments.py``
========  ===========================  ===========  =========================================  =======================

=============  =======================================================================================================
statement      where
=============  =======================================================================================================
(6)            p(z | y, t): likelihood in ``model/likelihood.py``, evidence for causes in ``roles/evidence.py``
(9)            p(h | y, t), and p(h, y | t) for the exact prior: ``model/likelihood.py``, maximised in ``axes/fit.py``
Theorem 3.2    features in ``../mtrn/reduction.py``; rank of the heads that it needs in ``trust/signal.py``
Figure 1       graph of each task in ``roles/structure.py``, of a new one in ``new_tasks/adapt.py``
Figures 2a, 3  linear and nonlinear data in ``../datasets/synthetic.py``
=============  =======================================================================================================

Imports go one way: ``model``, ``roles`` <- ``axes``, ``new_tasks`` <- ``trust`` <- ``estimator``.
"""

from identirep.mtlcm.axes import DenseCovariances as DenseCovariances
from identirep.mtlcm.axes import LatentFit as LatentFit
from identirep.mtlcm.axes import joint_diagonalise as joint_diagonalise
from identirep.mtlcm.checks import LEAST_LABELS as LEAST_LABELS
from identirep.mtlcm.data import Examined as Examined
from identirep.mtlcm.estimator import MTLCM
from identirep.mtlcm.model import joint_covariances as joint_covariances
from identirep.mtlcm.model import residual_covariances as residual_covariances
from identirep.mtlcm.new_tasks import AdaptedTask, Interval
from identirep.mtlcm.new_tasks import Use as Use
from identirep.mtlcm.new_tasks import check_new_task as check_new_task
from identirep.mtlcm.new_tasks import check_use as check_use
from identirep.mtlcm.roles import CausalStructure
from identirep.mtlcm.roles import causal_posterior as causal_posterior
from identirep.mtlcm.roles import correlations as correlations
from identirep.mtlcm.trust import COMES_BACK as COMES_BACK
from identirep.mtlcm.trust import SYMBOLS as SYMBOLS
from identirep.mtlcm.trust import TURNED as TURNED
from identirep.mtlcm.trust import VERDICTS as VERDICTS
from identirep.mtlcm.trust import BootstrapResult, Certificate, ComesBack, GoodnessOfFit
from identirep.mtlcm.trust import check_rows as check_rows
from identirep.mtlcm.trust import cut_agreement as cut_agreement
from identirep.mtlcm.trust import disturbed_agreement as disturbed_agreement
from identirep.mtlcm.trust import extrapolated as extrapolated
from identirep.mtlcm.trust import whitened_heads as whitened_heads
from identirep.mtlcm.using import CertifiedLatents as CertifiedLatents
from identirep.mtlcm.using import within_task_correlations as within_task_correlations

# What users get. The other names, imported as themselves, are for the rest of this library.
__all__ = ["MTLCM", "AdaptedTask", "BootstrapResult", "CausalStructure", "Certificate", "ComesBack", "GoodnessOfFit"]
__all__ += ["Interval"]
