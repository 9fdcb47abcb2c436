"""Make a data set of walks: shards of seeds, each a pure function of the plan and its number.

plan       what was asked for, what was measured once for all shards, and which seeds a shard has
folder     local or remote: files that appear whole, and a record for every shard that is done
maker      the generator and the features, loaded once, and a shard walked with them
filters    which paths a shard keeps; tally counts what became of the others
schema     the columns of both configurations; rows fills them
parquet, webdataset   how a shard is written and read back
schedule   every shard made, and made again after a failure, by an engine
engines    processes of this machine, or actors of a Ray cluster
card       README.md, with counts, histograms and a contact sheet
"""
