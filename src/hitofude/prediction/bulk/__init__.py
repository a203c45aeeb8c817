"""Bulk prediction: any number of images in many files, the shards, each with a file of predictions of its own.

A shard is one task of one worker process, which reads it block by block and writes its predictions itself, so memory
depends neither on a shard's size nor on the number of shards. See hitofude.prediction.bulk.run.predict_in_bulk.
"""
