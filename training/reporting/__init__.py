"""Shows what a run achieved: evaluation, curves, `report.html`."""
