"""What is to be solved: one folder a family, the same file names in each."""
