"""What is measured, in words: the entries of the catalogue of metrics, a file for each group."""
