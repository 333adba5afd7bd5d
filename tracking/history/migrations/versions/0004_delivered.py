"""The deliveries of notices, under that name."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """`history_told` becomes `history_delivered`."""
    _rename("told", "delivered")


def downgrade() -> None:
    """Back to the former name."""
    _rename("delivered", "told")


def _rename(before: str, after: str) -> None:
    op.drop_index(f"ix_history_{before}_slot", f"history_{before}")
    op.rename_table(f"history_{before}", f"history_{after}")
    op.create_index(f"ix_history_{after}_slot", f"history_{after}", ["bay_id", "listener", "slot"])
