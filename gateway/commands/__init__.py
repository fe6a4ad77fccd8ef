"""The commands of vitale-gateway, one module each: `arguments(parser)` and `work(options) -> exit code`."""
