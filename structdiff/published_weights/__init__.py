"""Published weights of others' networks: where they come from, fetched and checked once, read as safetensors."""

from structdiff.published_weights.cache import is_present, weights_path
from structdiff.published_weights.catalogue import full_names

__all__ = ["full_names", "is_present", "weights_path"]
