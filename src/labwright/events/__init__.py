"""The events recipe: four-jet collider events to k-fold classifiers, scores, closure and plots."""
