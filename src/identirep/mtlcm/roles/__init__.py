"""Roles of the latents in each task: c_t, their prior and posterior."""
