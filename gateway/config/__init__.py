"""The settings of one gateway: a TOML file read into frozen values, every mistake named with its line."""

from gateway.config.example import example_config
from gateway.config.reading import load_config, parse_config
from gateway.config.values import (
    LEGAL_RETENTION_DAYS,
    POLICIES,
    ZONES,
    AgentsConfig,
    ApiConfig,
    Config,
    LogConfig,
    PageConfig,
    PracticeConfig,
    PublisherConfig,
    ReaderConfig,
    ReceiverConfig,
    StoreConfig,
)

__all__ = [
    "LEGAL_RETENTION_DAYS",
    "POLICIES",
    "ZONES",
    "AgentsConfig",
    "ApiConfig",
    "Config",
    "LogConfig",
    "PageConfig",
    "PracticeConfig",
    "PublisherConfig",
    "ReaderConfig",
    "ReceiverConfig",
    "StoreConfig",
    "example_config",
    "load_config",
    "parse_config",
]
