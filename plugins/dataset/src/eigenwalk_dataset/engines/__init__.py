"""Where shards are made: in processes of this machine, or by actors of a Ray cluster."""
