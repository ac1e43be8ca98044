"""Studies: option models, YAML loading, parameters, overrides, the registry of recipes, and the plan."""
