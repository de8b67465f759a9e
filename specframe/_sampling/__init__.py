"""How a token is chosen: logits are warped, noise is keyed, the sampler draws.

A token is sampled in two steps. Logits are *warped* (penalty, processors, temperature, filters, in
transformers' order and to the same bits), then one is *chosen*: the largest sum of log p and Gumbel
noise. docs/sampling.md says why this makes sampling lossless.
"""
