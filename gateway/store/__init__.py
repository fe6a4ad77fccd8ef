"""The durable state of a gateway (SQLAlchemy Core; SQLite by default)."""
