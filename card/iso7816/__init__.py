"""ISO 7816, the alphabet every room speaks: APDU, status words, TLV, AID, ATR."""
