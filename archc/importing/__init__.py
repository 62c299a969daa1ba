"""Files of other tools as specs."""
