"""Pod packing: which pods run where in a cluster, by priority and with the least disruption."""
