"""Random tiny instances of every family, on which everything that solves them must agree."""
