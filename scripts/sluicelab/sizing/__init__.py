"""How much a deployment needs, computed from the reports in docs/ (docs/performance.md, "Sizing")."""
