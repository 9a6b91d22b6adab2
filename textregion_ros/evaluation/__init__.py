"""The three tasks of the TextRegion paper, measured on the data sets' own layouts."""
