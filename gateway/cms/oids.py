"""The object identifiers of CMS that this house writes or names, as encoded elements."""

from __future__ import annotations

from gateway.pki.der import oid

# Content types (RFC 5652 section 4, RFC 5083 section 2.1)
DATA = oid("1.2.840.113549.1.7.1")
SIGNED_DATA = oid("1.2.840.113549.1.7.2")
ENVELOPED_DATA = oid("1.2.840.113549.1.7.3")
AUTH_ENVELOPED_DATA = oid("1.2.840.113549.1.9.16.1.23")

# Signed attributes (RFC 5652 section 11, RFC 5035, RFC 6211, RFC 8551 section 2.5.2)
CONTENT_TYPE = oid("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = oid("1.2.840.113549.1.9.4")
SIGNING_TIME = oid("1.2.840.113549.1.9.5")
SIGNING_CERTIFICATE_V2 = oid("1.2.840.113549.1.9.16.2.47")
ALGORITHM_PROTECTION = oid("1.2.840.113549.1.9.52")
SMIME_CAPABILITIES = oid("1.2.840.113549.1.9.15")

# Algorithms (RFC 5754, RFC 3565, RFC 5084, RFC 8017)
SHA256 = oid("2.16.840.1.101.3.4.2.1")
RSA = oid("1.2.840.113549.1.1.1")
RSA_SHA256 = oid("1.2.840.113549.1.1.11")
RSA_OAEP = oid("1.2.840.113549.1.1.7")
MGF1 = oid("1.2.840.113549.1.1.8")
AES256_GCM = oid("2.16.840.1.101.3.4.1.46")
AES128_CBC = oid("2.16.840.1.101.3.4.1.2")
DES_EDE3_CBC = oid("1.2.840.113549.3.7")
