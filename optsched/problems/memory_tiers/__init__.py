"""Memory mapping: which tensor is read from which memory, prefetched and evicted when."""
