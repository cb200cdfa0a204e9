"""What a run leaves to look at: evaluation, curves, `report.html`."""
