"""Whether a directory of shards is whole: every file, every byte, every table and frame (docs/shard-format.md)."""
