"""Controlled loading, judged: servers that thrash, load that does not wait for them, and what is made of the figures. `scripts/bench load`
runs it at full size; the lab tests try its instruments."""
