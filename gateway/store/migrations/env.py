"""What alembic runs: the revisions, on the connection and in the transaction that it is handed."""

from alembic import context

from gateway.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    transactional_ddl=True,
    render_as_batch=True,
    given=context.config.attributes.get("given"),
)
context.run_migrations()
