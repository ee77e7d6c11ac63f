"""What can be trusted: the certificate, refits, goodness of fit."""

from identirep.mtlcm.trust.certificate import Certificate, certify
from identirep.mtlcm.trust.comes_back import TURNED, ComesBack, extrapolated
from identirep.mtlcm.trust.cuts import cut_agreement
from identirep.mtlcm.trust.goodness import GoodnessOfFit
from identirep.mtlcm.trust.latents import latent_moments
from identirep.mtlcm.trust.refits import BootstrapResult, bootstrap
from identirep.mtlcm.trust.rows import check_rows, disturbed_agreement, whitened_heads
from identirep.mtlcm.trust.showing import SYMBOLS, certificate_html
from identirep.mtlcm.trust.verdict import COMES_BACK, VERDICTS

__all__ = [
    "COMES_BACK",
    "SYMBOLS",
    "TURNED",
    "VERDICTS",
    "BootstrapResult",
    "Certificate",
    "ComesBack",
    "GoodnessOfFit",
    "bootstrap",
    "certificate_html",
    "certify",
    "check_rows",
    "cut_agreement",
    "disturbed_agreement",
    "extrapolated",
    "latent_moments",
    "whitened_heads",
]
