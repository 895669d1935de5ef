"""Operator order, spilling and addresses in a scratchpad memory."""
