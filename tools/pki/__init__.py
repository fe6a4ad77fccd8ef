"""The test authority: every key and certificate of the bench, and broken ones made on purpose."""

from tools.pki.authority import Authority, PracticeKeys, ReceiverKeys
from tools.pki.bench import Bench
from tools.pki.broken import Breaker, Broken, Case

__all__ = ["Authority", "Bench", "Breaker", "Broken", "Case", "PracticeKeys", "ReceiverKeys"]
