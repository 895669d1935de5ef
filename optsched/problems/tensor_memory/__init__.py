"""Static memory allocation: buffers with lifetimes get offsets in one or several banks."""
