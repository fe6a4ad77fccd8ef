"""Cryptographic Message Syntax: signed and enveloped, under a fixed policy. Pure."""
