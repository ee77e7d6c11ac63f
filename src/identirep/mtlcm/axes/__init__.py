"""The mixing matrix A: from moments to latents."""
