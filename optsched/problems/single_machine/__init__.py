"""Single-machine sequencing: tardiness, completion time, lateness and tardy jobs."""
