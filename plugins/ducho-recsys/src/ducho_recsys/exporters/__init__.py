"""What recommender frameworks read, written from feature sets and a split."""
