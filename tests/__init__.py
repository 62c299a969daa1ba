"""Tests stand in the rooms of what they test, as in archc/; tests of the whole package stand here, and what rooms share in helpers/."""
