"""`scripts/bench`: contenders side by side in the lab, what they do, and what is said of it."""
