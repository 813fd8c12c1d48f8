"""The doctor: what is wrong with a dataset, where it can be seen, and what to do about it."""

from lince.audit.checkup import Checkup, examine
from lince.audit.finding import Example, Finding, Severity
from lince.audit.suspects import Network

__all__ = ["Checkup", "Example", "Finding", "Network", "Severity", "examine"]
