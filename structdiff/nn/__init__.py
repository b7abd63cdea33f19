"""Building blocks of the network that know no molecule."""
