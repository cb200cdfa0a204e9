"""Networks of the Hugging Face Hub, and folders laid out like its repositories: names, files, what config.json says."""
