"""trRosetta, a published network: what it expects of a chain from its sequence or alignment, and the fold of that."""
