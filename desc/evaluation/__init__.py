"""How real and how good the continuations of runs are, beside real music and simple peers."""
