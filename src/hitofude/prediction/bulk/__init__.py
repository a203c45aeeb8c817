"""Bulk scoring: any number of images, kept in many files, predicted by a run; a part of the answer for each part.

Every part is one piece of work for one worker process, which reads it block by block and writes its answers itself, so
that neither a part's size nor the number of parts matters to memory. See hitofude.prediction.bulk.run.predict_in_bulk.
"""
