"""What can be trusted: the certificate, refits, goodness of fit."""

from identirep.mtlcm.trust.certificate import Certificate, certify
from identirep.mtlcm.trust.goodness import GoodnessOfFit
from identirep.mtlcm.trust.latents import latent_moments
from identirep.mtlcm.trust.refits import BootstrapResult, bootstrap

__all__ = ["BootstrapResult", "Certificate", "GoodnessOfFit", "bootstrap", "certify", "latent_moments"]
