"""Pods on nodes with shared GPUs: as much GPU demand placed as possible."""
