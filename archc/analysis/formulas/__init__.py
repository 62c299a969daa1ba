"""What a network of open sizes costs: each figure as a formula of these sizes."""

from archc.analysis.formulas.formulas import Formulas, formulas

__all__ = ["Formulas", "formulas"]
