"""Resource-constrained project scheduling: single and multi-mode, generalized precedence."""
