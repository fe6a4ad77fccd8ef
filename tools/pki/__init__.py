"""The test authority: every key and certificate of the bench, and broken ones made on purpose."""

from tools.pki.authority import Authority, PracticeKeys, ReceiverKeys

__all__ = ["Authority", "PracticeKeys", "ReceiverKeys"]
