"""The paper's model on moments: likelihoods, and what they tell about each pair of latents."""
