"""A third party's recipe, as small as one can be: numbers in files, their mean, and how far a guess is from it."""
