"""Sources on the network: public data sets and Kaggle."""
