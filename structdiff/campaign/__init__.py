"""From what is asked to ranked designs: work that is recorded, resumed, shared among workers, filtered and reported."""
