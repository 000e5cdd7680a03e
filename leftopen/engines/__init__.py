"""Database servers: where they are found, how they start, stop and die with their notebook."""
