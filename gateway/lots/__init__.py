"""FSE and lots: encoding, numbering, signing, sealing, verifying. Pure."""
