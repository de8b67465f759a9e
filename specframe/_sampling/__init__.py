"""How a token is chosen: logits are warped, noise is keyed, the sampler draws."""
