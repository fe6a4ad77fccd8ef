"""The gateway a practice runs: price, build, sign, keep, send, match, post."""
