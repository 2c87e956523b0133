"""What pumphouse remembers: plans, migrations, what they did and what happened.

Open it with :func:`pumphouse.store.opening.open_store`.
"""
