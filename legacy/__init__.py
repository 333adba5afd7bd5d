"""From the old system to this one: its data, the bridge to its consumers, and who owns a bay.

Optional and removable: nothing of the product imports it. See `docs/migration.md`.
"""
