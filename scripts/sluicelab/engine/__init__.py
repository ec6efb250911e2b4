"""What measures the dispatcher's engine without input and output: recorded exchanges, callgrind, budgets."""
