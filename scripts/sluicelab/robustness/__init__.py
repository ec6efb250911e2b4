"""What must hold under attack and after accidents: scenarios that `scripts/soak --case` runs at full size, and the lab tests at a small one."""
