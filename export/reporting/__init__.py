"""What was exported and how well it agrees: `report.json`, `report.html`, `README.md`."""
