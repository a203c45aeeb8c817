"""Sources that are fetched: public data sets and Kaggle."""
