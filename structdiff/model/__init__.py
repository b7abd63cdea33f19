"""The network: from features to the trunk's understanding of a complex, and from noisy positions to denoised ones."""
