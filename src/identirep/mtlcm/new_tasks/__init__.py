"""New tasks from few rows, the latents held."""
