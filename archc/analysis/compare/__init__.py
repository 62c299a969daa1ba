"""Two networks, or two tools, side by side."""
