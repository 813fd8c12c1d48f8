"""Dataset checks: finds problems in the images and labels of a dataset, and shows where they are.

A check is a function that takes a ``CheckContext`` and returns a list of ``CheckFinding``; ``check_run.CHECKS`` lists
them all. An error means that labels are lost or results will be wrong, a warning that results are at risk, and a note
is good to know. The codes of findings and the keys of their figures are part of ``lince check --json`` and stay.
"""

from lince.checks.check_context import CheckFinding, FeatureModel, FindingExample
from lince.checks.check_run import CheckResult, run_checks
from lince.findings import Severity

__all__ = ["CheckFinding", "CheckResult", "FeatureModel", "FindingExample", "Severity", "run_checks"]
