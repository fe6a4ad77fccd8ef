"""The test authority: every key and certificate of the bench, and broken ones made on purpose."""

from tools.pki.authority import Authority, PracticeKeys, ReceiverKeys
from tools.pki.broken import Breaker, Broken, Case
from tools.pki.workbench import Workbench

__all__ = ["Authority", "Breaker", "Broken", "Case", "PracticeKeys", "ReceiverKeys", "Workbench"]
