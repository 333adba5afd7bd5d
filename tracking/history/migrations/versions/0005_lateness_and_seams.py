"""When the frames of a slot were taken, and where the history is not built on the slot before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Three columns of a slot; of slots that were written before nothing is known."""
    op.add_column("history_batches", sa.Column("lateness_s", sa.Float))
    op.add_column("history_batches", sa.Column("spread_s", sa.Float))
    op.add_column("history_batches", sa.Column("seam", sa.Text))


def downgrade() -> None:
    """Without them."""
    for name in ("lateness_s", "spread_s", "seam"):
        op.drop_column("history_batches", name)
