"""Updates have the wrong size."""
