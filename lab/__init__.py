"""Everything that runs the product in order to try it; the product never imports it."""
