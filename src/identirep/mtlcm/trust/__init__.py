"""What can be trusted: the certificate, refits, goodness of fit."""
