"""How alembic runs the history's migrations: on the connection that `tracking.history.database` hands in."""

from alembic import context

from tracking.history.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
