"""The doctor: what is wrong with a dataset, where it can be seen, and what to do about it."""

from lince.checks.check_run import CheckResult, run_checks
from lince.checks.finding import Example, Finding, Severity
from lince.checks.label_errors import FeatureModel

__all__ = ["CheckResult", "Example", "FeatureModel", "Finding", "Severity", "run_checks"]
